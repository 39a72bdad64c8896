"""Val scores the epoch that it chose, where the delivered stage keeps its best epoch."""

from dmtsearch.errors import DmtSearchError
from dmtsearch.human import counted
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.schedule import expand, parse_schedule


def kept_epoch_words(record: RunRecord) -> str | None:
    """By how much that makes val too good, beside the epochs of this run's trials and arms.

    The numbers are those of benchmarks/keep_best.py.

    Returns:
        None where the last epoch is kept, and before a trial has ended.
    """
    done = [trial for trial in record.trials if trial.status == "done"]
    if not done:
        return None
    try:
        whole = expand(parse_schedule(done[0].asked.schedule))
    except DmtSearchError:
        return None
    if whole.stage(whole.deliver).keep == "last":
        return None
    asked = [trial.asked for trial in done]
    epochs = [stage.epochs for one in asked for stage in one.stages if stage.name == one.deliver]
    words = (
        f"Val both chooses the epoch that {whole.deliver} keeps (`keep: best`) and scores it. So "
        "val is too good, by more in a longer training: on digits with 250 val samples by 0.4 "
        "points in 10 epochs, 0.9 in 40 and 1.0 in 160 (one_cycle, measured); with 500 by two "
        "thirds of that."
    )
    least, most = min(epochs), max(epochs)
    if least == most:
        return f"{words} Here all trials and arms train it for {counted(most, 'epoch')}."
    return (
        f"{words} Here it trains for {least:,} to {most:,} epochs, and the longer trainings are "
        "favoured; the test split, on which `dmtsearch confirm` compares, has chosen nothing."
    )
