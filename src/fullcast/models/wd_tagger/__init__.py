"""Door to SmilingWolf's WD14 taggers as ONNX (v1.4 v2, v3) and the pocket tagger of the same signature."""

from fullcast.models.wd_tagger.tagger import TagSet, WdTagger

__all__ = ["TagSet", "WdTagger"]
