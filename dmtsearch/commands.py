"""Commands that are printed for a user to copy into a shell."""

import shlex


def command_line(*words: object) -> str:
    """Return a `dmtsearch` command that a shell reads back as these words.

    Words with spaces, quotes or letters beyond ASCII are quoted, so that the printed line can be
    copied whatever a folder is called.

    Args:
        words: What follows `dmtsearch`: `"train", path, "--out", folder`.
    """
    return shlex.join(["dmtsearch", *(str(word) for word in words)])
