"""SO WHAT: from a run folder to a page. Summary (data), figures (drawing), pages (templates).

Importing and rendering need neither torch nor ray; Optuna's importance needs optuna.
"""
