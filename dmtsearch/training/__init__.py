"""RUN one stage: build, sources, loop, switch rules, evaluation, checkpoint; knows no store and no Ray."""
