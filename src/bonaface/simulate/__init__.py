"""Presentation attacks from portraits: photograph a face, print or show the photograph, photograph that.

Every part is a pure function of (picture in linear light, parameters, generator); the physics is in the chain and
nothing is pasted on. `studio` wires the parts; docs/simulation.md says what is modelled and what is not.
"""

MARK = "simulation.json"  # lies in the folder of every simulated set and says how it was made
