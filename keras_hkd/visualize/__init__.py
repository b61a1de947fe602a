"""Shows what the losses see: maps, regions and labels of teacher and student, as figures.

`look` runs a pair on a batch; everything else draws what it gives.
"""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "LevelMap": "seen",
        "attention_maps": "attention",
        "draw_assignment": "assignment",
        "draw_attention": "attention",
        "draw_maps": "maps",
        "draw_regions": "regions",
        "RegionSet": "regions",
        "region_set": "regions",
        "level_maps": "seen",
        "look": "seen",
        "what_the_loss_sees": "seen",
    },
)
