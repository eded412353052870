"""The space link, both ways: CADUs, Reed-Solomon, AOS frames, M_PDUs, space packets, CUC times (CCSDS 131.0, 732.0,
133.0, 301.0).
"""
