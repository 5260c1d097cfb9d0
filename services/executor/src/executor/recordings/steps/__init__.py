"""The steps of processing: download, transcription, upload."""
