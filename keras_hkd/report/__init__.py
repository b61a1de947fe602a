"""Learning curves, galleries of detections, tables, the check of a dataset, the report of runs."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "check_dataset": "dataset_check",
        "markdown_table": "tables",
        "rich_table": "tables",
        "save_contact_sheet": "gallery",
        "save_curves": "curves",
        "save_dataset_gallery": "gallery",
        "save_gallery": "gallery",
        "write_report": "run_report",
    },
)
