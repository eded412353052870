"""L0U: the raw files of one session become datatakes of packets, sorted by datastrip, detector, scene and band."""
