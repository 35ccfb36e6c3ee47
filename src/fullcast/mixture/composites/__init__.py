"""Scenes made of the show's own cut-out figures on its own backgrounds; see `making.make_composites`."""
