"""What two or more functions need: domain, ledger, ports and adapters, workflow, telemetry, rehearsal."""
