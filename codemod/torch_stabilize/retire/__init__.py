"""What earlier runs generated and newer headers of torch have: used from there, and taken out."""
