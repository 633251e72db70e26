"""Data sets, samplers, batches and the loader."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import gradflow as gf
from gradflow.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

Point = namedtuple("Point", ["x", "y"])


class Squares(Dataset):
    def __init__(self, size):
        self.size = size

    def __getitem__(self, i):
        if i >= self.size:
            raise IndexError(i)
        return i, float(i * i)

    def __len__(self):
        return self.size


class Count(IterableDataset):
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return iter(range(self.size))

    def __len__(self):
        return self.size


def plain(value):
    """Tensors as (dtype, list), so that batches can be compared."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return value


# data sets


def test_tensor_dataset():
    data = TensorDataset(gf.arange(6.0).reshape(3, 2), gf.tensor([7, 8, 9]))
    x, y = data[1]
    assert (x.tolist(), y.item(), len(data)) == ([2.0, 3.0], 8, 3)
    with pytest.raises(RuntimeError, match=r"Size mismatch between tensors: their lengths are \[3, 2\]"):
        TensorDataset(gf.ones(3), gf.ones(2))


def test_concat_dataset():
    data = Squares(2) + Squares(3)
    assert isinstance(data, ConcatDataset)
    assert [data[i] for i in range(5)] == [(0, 0.0), (1, 1.0), (0, 0.0), (1, 1.0), (2, 4.0)]
    assert data[-1] == (2, 4.0)
    assert data.cumulative_sizes == [2, 5]
    for index in (5, -6):
        with pytest.raises(IndexError, match="out of range; there are 5 samples"):
            data[index]
    with pytest.raises(ValueError, match="empty iterable"):
        ConcatDataset([])


def test_chain_and_stack_datasets():
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2]
    assert len(ChainDataset([Count(2), Count(3)])) == 5
    assert StackDataset(Squares(3), Squares(3))[2] == ((2, 4.0), (2, 4.0))
    assert StackDataset(a=Squares(3), b=Squares(3))[1] == {"a": (1, 1.0), "b": (1, 1.0)}
    with pytest.raises(ValueError, match=r"lengths are \[3, 4\]"):
        StackDataset(Squares(3), Squares(4))


def test_subset_and_random_split():
    data = Squares(10)
    assert [Subset(data, [3, 1])[i] for i in range(2)] == [(3, 9.0), (1, 1.0)]
    gf.manual_seed(0)
    parts = random_split(data, [3, 7])
    assert [len(part) for part in parts] == [3, 7]
    assert sorted(parts[0].indices + parts[1].indices) == list(range(10))
    assert [len(part) for part in random_split(data, [0.33, 0.33, 0.34])] == [4, 3, 3]
    first = random_split(data, [0.5, 0.5], generator=gf.Generator().manual_seed(1))
    again = random_split(data, [0.5, 0.5], generator=gf.Generator().manual_seed(1))
    assert first[0].indices == again[0].indices
    with pytest.raises(ValueError, match="got 9, the dataset has 10"):
        random_split(data, [4, 5])
    with pytest.raises(ValueError, match=r"index 0 is not between 0 and 1; got 1\.5"):
        random_split(data, [1.5, -0.5])
    with pytest.warns(UserWarning, match="split at index 1 is 0"):
        random_split(Squares(1), [0.9, 0.1])


# samplers


def test_samplers():
    data = Squares(10)
    gf.manual_seed(0)
    assert list(SequentialSampler(data)) == list(range(10))
    assert sorted(RandomSampler(data)) == list(range(10))
    assert list(RandomSampler(data)) != list(RandomSampler(data))
    assert len(list(RandomSampler(data, num_samples=23))) == 23
    drawn = list(RandomSampler(data, replacement=True, num_samples=3000))
    assert len(drawn) == 3000
    assert set(drawn) == set(range(10))
    assert sorted(SubsetRandomSampler([3, 1, 7])) == [1, 3, 7]
    seeded = [list(RandomSampler(data, generator=gf.Generator().manual_seed(5))) for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_weighted_sampler():
    gf.manual_seed(0)
    drawn = np.bincount(list(WeightedRandomSampler([0.0, 1.0, 3.0, 0.0], 4000)), minlength=4)
    assert drawn[0] == drawn[3] == 0
    assert abs(drawn[2] / 4000 - 0.75) < 0.03
    firsts = [next(iter(WeightedRandomSampler([0.0, 1.0, 3.0], 2, replacement=False))) for _ in range(1000)]
    assert abs(np.mean(np.array(firsts) == 2) - 0.75) < 0.05
    assert sorted(WeightedRandomSampler([0.0, 1.0, 3.0], 2, replacement=False)) == [1, 2]
    for weights in ([-1.0, 2.0], [float("nan"), 1.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match="finite and not negative"):
            WeightedRandomSampler(weights, 1)
    with pytest.raises(ValueError, match="cannot draw 2 samples without replacement; 1 weights are not zero"):
        WeightedRandomSampler([0.0, 1.0], 2, replacement=False)
    with pytest.raises(ValueError, match="1d sequence"):
        WeightedRandomSampler([[1.0]], 1)


def test_batch_sampler():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert (len(BatchSampler(range(5), 2, False)), len(BatchSampler(range(5), 2, True))) == (3, 2)
    for size in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="positive integer"):
            BatchSampler(range(5), size, False)


# batches


def batches(lib):
    """Lists of samples of every kind; lib makes tensors."""
    return {
        "ints": [1, 2],
        "bools": [True, False],
        "floats": [0.5, 1.5],
        "strings": ["a", "b"],
        "tensors": [lib.ones(2), lib.zeros(2)],
        "arrays": [np.ones(2, np.float32), np.zeros(2, np.float32)],
        "numpy numbers": [np.float32(1), np.float32(2)],
        "0-d arrays": [np.array(1), np.array(2)],
        "tuples": [(1, "a"), (2, "b")],
        "lists": [[1, 2.0], [3, 4.0]],
        "dicts": [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}],
        "ordered dicts": [OrderedDict(a=1), OrderedDict(a=2)],
        "named tuples": [Point(1, 2.0), Point(3, 4.0)],
        "nested": [({"x": lib.ones(1)}, (1, [2.0])), ({"x": lib.zeros(1)}, (3, [4.0]))],
    }


@pytest.mark.parametrize("kind", batches(gf))
def test_collate_as_torch(torch, kind):
    expected = torch.utils.data.default_collate(batches(torch)[kind])
    assert plain(default_collate(batches(gf)[kind])) == plain(expected)
    expected = torch.utils.data.default_convert(batches(torch)[kind])
    assert plain(default_convert(batches(gf)[kind])) == plain(expected)


def test_collate_golden():
    assert plain(default_collate([(1, 0.5), (2, 1.5)])) == (
        "list",
        [("torch.int64", [1, 2]), ("torch.float64", [0.5, 1.5])],
    )


def test_collate_refuses():
    with pytest.raises(TypeError, match="found <class 'object'>"):
        default_collate([object()])
    with pytest.raises(TypeError, match="make no tensor"):
        default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="should be of equal size"):
        default_collate([[1], [1, 2]])


# the loader


def test_loader_over_samples():
    loader = DataLoader(Squares(5), batch_size=2)
    assert [plain(batch) for batch in loader] == [
        ("list", [("torch.int64", [0, 1]), ("torch.float64", [0.0, 1.0])]),
        ("list", [("torch.int64", [2, 3]), ("torch.float64", [4.0, 9.0])]),
        ("list", [("torch.int64", [4]), ("torch.float64", [16.0])]),
    ]
    assert len(loader) == 3
    assert len(list(DataLoader(Squares(5), batch_size=2, drop_last=True))) == 2
    assert len(list(loader)) == 3


def test_shuffling():
    loader = DataLoader(Squares(50), batch_size=8, shuffle=True, generator=gf.Generator().manual_seed(3))
    first, second = ([i for batch, _ in loader for i in batch.tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    gf.manual_seed(7)
    one = [i for batch, _ in DataLoader(Squares(50), batch_size=8, shuffle=True) for i in batch.tolist()]
    gf.manual_seed(7)
    assert one == [i for batch, _ in DataLoader(Squares(50), batch_size=8, shuffle=True) for i in batch.tolist()]


class SlowTensorDataset(TensorDataset):
    """Not the class that is indexed a batch at a time."""


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_whole_batches_are_what_samples_give(shuffle, drop_last, subset):
    tensors = gf.arange(46.0).reshape(23, 2), gf.arange(23), gf.arange(23) > 4, gf.arange(23.0)
    runs = []
    for kind in (TensorDataset, SlowTensorDataset):
        data = kind(*tensors)
        if subset:
            data = Subset(Subset(data, list(range(20, 0, -1))), [2, 5, 9, 9, 1])
        generator = gf.Generator().manual_seed(1)
        loader = DataLoader(data, batch_size=4, shuffle=shuffle, drop_last=drop_last, generator=generator)
        runs.append([plain(batch) for batch in loader])
    assert runs[0] == runs[1]


def test_batches_are_copies():
    x = gf.arange(4.0)
    (batch,) = next(iter(DataLoader(TensorDataset(x), batch_size=2)))
    batch.zero_()
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_own_samplers_and_collate():
    class Backwards(Sampler):
        def __iter__(self):
            return iter(range(4, -1, -1))

        def __len__(self):
            return 5

    loader = DataLoader(Squares(5), batch_size=3, sampler=Backwards(), collate_fn=list)
    assert list(loader) == [[(4, 16.0), (3, 9.0), (2, 4.0)], [(1, 1.0), (0, 0.0)]]
    loader = DataLoader(Squares(5), batch_sampler=[[0, 4], [2]], collate_fn=list)
    assert (list(loader), len(loader)) == ([[(0, 0.0), (4, 16.0)], [(2, 4.0)]], 2)


def test_without_batches():
    assert list(DataLoader(Squares(3), batch_size=None)) == [[0, 0.0], [1, 1.0], [2, 4.0]]
    assert list(DataLoader(Count(3), batch_size=None)) == [0, 1, 2]


def test_iterable_datasets():
    loader = DataLoader(Count(5), batch_size=2)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3
    loader = DataLoader(Count(5), batch_size=2, drop_last=True)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]
    assert len(loader) == 2


def test_many_at_once():
    class Many(Squares):
        def __getitems__(self, indices):
            return [(i, 0.0) for i in indices]

    assert plain(next(iter(DataLoader(Many(4), batch_size=2))))[1][1] == ("torch.float64", [0.0, 0.0])


def test_workers_are_taken_and_change_nothing():
    options = {"num_workers": 4, "persistent_workers": True, "prefetch_factor": 3, "pin_memory": True, "timeout": 5}
    loader = DataLoader(Squares(5), batch_size=2, worker_init_fn=print, **options)
    assert [plain(batch) for batch in loader] == [plain(batch) for batch in DataLoader(Squares(5), batch_size=2)]
    assert get_worker_info() is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor"),
        ({"persistent_workers": True}, "persistent_workers"),
        ({"sampler": [0], "shuffle": True}, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "disables auto-batching"),
        ({"batch_size": 0}, "positive integer"),
        ({"dataset": Count(3), "shuffle": True}, "IterableDataset: expected unspecified shuffle"),
        ({"dataset": Count(3), "sampler": [0]}, "IterableDataset: expected unspecified sampler"),
    ],
)
def test_loader_refuses(options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(**{"dataset": Squares(3), **options})


def test_an_empty_dataset():
    assert list(DataLoader(Squares(0), batch_size=2)) == []
    with pytest.raises(ValueError, match="num_samples=0"):
        DataLoader(Squares(0), shuffle=True)


def test_a_loader_is_not_changed():
    loader = DataLoader(Squares(3))
    with pytest.raises(ValueError, match="batch_size attribute should not be set"):
        loader.batch_size = 2


def test_errors_of_the_dataset_come_through():
    with pytest.raises(IndexError, match="3"):
        list(DataLoader(Squares(3), sampler=[0, 3]))


@pytest.mark.parametrize(
    ("n", "replicas", "drop_last"), [(10, 3, False), (10, 3, True), (2, 5, False), (7, 7, True), (0, 2, True), (4, 1, False)]
)
def test_the_parts_of_several_processes(n, replicas, drop_last):
    samplers = [DistributedSampler(range(n), replicas, rank, False, drop_last=drop_last) for rank in range(replicas)]
    each = n // replicas if drop_last else -(-n // replicas)
    assert [len(s) for s in samplers] == [each] * replicas
    assert [list(s) for s in samplers] == [[i % n for i in range(rank, each * replicas, replicas)] for rank in range(replicas)]
    shuffled = [DistributedSampler(range(n), replicas, rank, seed=3, drop_last=drop_last) for rank in range(replicas)]
    orders = []
    for epoch in range(2):
        for s in shuffled:
            s.set_epoch(epoch)
        taken = [list(s) for s in shuffled]
        assert taken == [list(s) for s in shuffled]
        assert len({i for part in taken for i in part}) == min(n, each * replicas)
        orders.append(taken)
    assert orders[0] != orders[1] or n < 5


def test_a_part_needs_its_number():
    for options, text in (({}, "Requires distributed"), ({"num_replicas": 2, "rank": 2}, r"interval \[0, 1\]")):
        with pytest.raises(ValueError, match=text):
            DistributedSampler([1], **options)
