"""Operations: what takes several desired states, one after the other. Each is a pure function that names its stages."""
