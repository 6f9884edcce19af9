"""Presentation attacks from portraits: photograph a face, print or show the photograph, photograph that.

Every part is a pure function of (picture in linear light, parameters, generator), and artefacts come from modelling
the imaging chain alone. `studio` joins the parts; docs/simulation.md says what is modelled and what is not.
"""

MARK = "simulation.json"  # the file in every simulated set's folder that says how it was made
