"""What is known already: finished stages by key, checkpoints, leases."""

from dmtsearch.store.collect import GcReport as GcReport
from dmtsearch.store.collect import Removed as Removed
from dmtsearch.store.explain import Closest as Closest
from dmtsearch.store.explain import Difference as Difference
from dmtsearch.store.explain import differences as differences
from dmtsearch.store.explain import place_in_words as place_in_words
from dmtsearch.store.inventory import Leftover as Leftover
from dmtsearch.store.inventory import ObjectInfo as ObjectInfo
from dmtsearch.store.inventory import Skipped as Skipped
from dmtsearch.store.lease import Holder as Holder
from dmtsearch.store.lease import Lease as Lease
from dmtsearch.store.manifest import key_of as key_of
from dmtsearch.store.objects import Damaged as Damaged
from dmtsearch.store.objects import Newer as Newer
from dmtsearch.store.objects import StoredObject as StoredObject
from dmtsearch.store.opening import VARIABLE as VARIABLE
from dmtsearch.store.opening import open_store as open_store
from dmtsearch.store.progress_slots import StoredProgress as StoredProgress
from dmtsearch.store.store import Store as Store
from dmtsearch.store.verify import VerifyReport as VerifyReport
