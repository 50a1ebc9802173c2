"""Protocol pieces that drivers and front ends share; they know nothing of clouds."""
