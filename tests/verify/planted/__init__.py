"""An extension of many small operators, as it was and as it is stable, with one defect for each that can be planted."""
