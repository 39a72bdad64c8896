"""The README's story of one's own images, to a model file; beside the rest, as both take long."""

import pytest
import test_readme_examples as readme
from readme_blocks import README

reader = readme.reader


@pytest.mark.slow  # starts no Ray in this process
def test_one_s_own_images_become_a_model_file(reader):
    _, own_images, _ = readme.parted(README.read_text())
    done = readme.follow(reader, own_images)
    assert any(command.startswith("dmtsearch export") for command in done)
    assert (reader.folder / "out/photos/model.onnx").is_file()
