"""RUN one stage: build, sources, loop, switch rules, evaluation, checkpoint; no store, no Ray."""
