"""VIGIL: hours of footage indexed at four time scales, searched and asked about with evidence."""
