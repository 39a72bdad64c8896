"""What is learned from: known sets, folders and factories; sealed splits; batches by index."""

from .batches import crop_flip as crop_flip
from .batches import default_pad as default_pad
from .batches import epoch_order as epoch_order
from .batches import normalise as normalise
from .data_loading import describe_data as describe_data
from .data_loading import describe_splits as describe_splits
from .data_loading import load_data as load_data
from .dataset import DataSet as DataSet
from .dataset import Split as Split
from .datasets import DATASETS as DATASETS
from .facts import DataFacts as DataFacts
from .moments import Moments as Moments
from .moments import given_moments as given_moments
from .sample_digests import sample_digests as sample_digests
from .sample_features import SampleFeatures as SampleFeatures
from .sample_features import find_like as find_like
from .sample_features import sample_features as sample_features
