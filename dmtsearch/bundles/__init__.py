"""What a trained model is delivered as: a folder that is loaded, checked, scored and exported."""
