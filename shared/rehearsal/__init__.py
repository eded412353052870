"""What a rehearsal needs: scenes, the session simulator, faults, a ground station."""
