"""The children: starting what a permit allows, and ending all of it."""
