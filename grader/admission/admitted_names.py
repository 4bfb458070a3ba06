"""What an answer may name: functions and fields by the module or the kind of value that they belong to.

The lists are frozen here, so that checking a text needs no torch, and a new release of torch opens no door.
A test holds them against what is installed: each name exists, and none leads to a module or a known door.
"""

from __future__ import annotations

from collections.abc import Mapping


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


def _in_place(names: frozenset[str]) -> frozenset[str]:
    return frozenset(f"{name}_" for name in names)


# ---- torch: the same name as function and as method ----

ELEMENTWISE = _words(
    "abs absolute neg negative exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square pow float_power reciprocal",
    "sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh arcsin arccos arctan arcsinh arccosh arctanh",
    "atan2 arctan2 hypot sigmoid logit relu erf erfc erfinv sinc xlogy lerp addcmul addcdiv sign sgn copysign",
    "ceil floor round trunc fix frac clamp clamp_min clamp_max clip heaviside nan_to_num deg2rad rad2deg",
    "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod masked_fill",
    "eq ne lt le gt ge not_equal less less_equal greater greater_equal",
    "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor",
)
"""Each also in place, as `exp_`."""

ELEMENTWISE_FRESH = _words(
    "positive maximum minimum fmax fmin logaddexp logaddexp2 signbit where real imag conj angle",
    "equal isclose allclose isnan isinf isfinite isneginf isposinf isreal is_floating_point is_complex is_nonzero",
)
REDUCTIONS = _words(
    "sum mean prod max min amax amin aminmax argmax argmin all any var std norm median mode nansum nanmean",
    "nanmedian quantile nanquantile logsumexp softmax log_softmax cumsum cumprod cummax cummin logcumsumexp",
    "count_nonzero kthvalue topk sort argsort msort unique unique_consecutive bincount histc diff dist trace numel",
)
SHAPES = _words("squeeze unsqueeze transpose swapaxes swapdims t tril triu")
"""Each also in place, as `squeeze_`."""

SHAPES_FRESH = _words(
    "reshape flatten unflatten ravel permute movedim moveaxis adjoint broadcast_to tile repeat_interleave flip fliplr",
    "flipud roll rot90 chunk split split_with_sizes tensor_split hsplit vsplit unbind narrow select",
    "diag diagonal diag_embed diagflat clone detach",
)
INDEXING = _words(
    "gather index_select masked_select take take_along_dim nonzero argwhere select_scatter slice_scatter",
    "diagonal_scatter",
)
SCATTERING = _words("scatter scatter_add scatter_reduce index_add index_copy index_fill index_put put masked_scatter")
"""Each also in place, as `index_add_`."""

LINEAR_ALGEBRA = _words(
    "matmul mm bmm mv dot vdot inner outer ger kron cross addmm addmv addr addbmm baddbmm matrix_power",
    "det inverse cov corrcoef bernoulli multinomial",
)
_BOTH = ELEMENTWISE | ELEMENTWISE_FRESH | REDUCTIONS | SHAPES | SHAPES_FRESH | INDEXING | SCATTERING | LINEAR_ALGEBRA

# ---- torch: functions only ----

CREATION = _words(
    "tensor as_tensor from_numpy scalar_tensor zeros ones full empty zeros_like ones_like full_like",
    "empty_like eye arange linspace logspace rand randn randint randperm rand_like randn_like randint_like normal",
    "manual_seed",
    "tril_indices triu_indices meshgrid cartesian_prod combinations block_diag cat concat concatenate stack",
    "hstack vstack dstack column_stack row_stack atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_shapes",
    "einsum tensordot chain_matmul cdist cosine_similarity embedding batch_norm layer_norm var_mean std_mean",
    "isin searchsorted bucketize is_tensor get_default_dtype result_type promote_types finfo iinfo dropout",
)
DTYPES = _words(
    "float float16 float32 float64 bfloat16 half double int int8 int16 int32 int64 uint8 short long bool",
    "complex64 complex128 cfloat cdouble strided contiguous_format preserve_format pi e inf nan newaxis",
)
TYPES = _words("Tensor Generator Size device dtype FloatTensor DoubleTensor LongTensor IntTensor BoolTensor")
GRADIENTS_OFF = _words("no_grad inference_mode set_grad_enabled")
TORCH = _BOTH | CREATION | DTYPES | TYPES | GRADIENTS_OFF

# ---- Methods and fields of a value whose type the text does not tell ----

TENSOR_ONLY = _words(
    "view view_as expand expand_as reshape_as repeat type_as to type float double half bfloat16 int long short byte",
    "bool cpu numpy tolist item dim ndim ndimension size shape dtype device data T mT H mH nelement stride",
    "contiguous is_contiguous new_zeros new_ones new_full new_empty new_tensor sum_to_size element_size itemsize",
    "nbytes unfold indices values is_cuda is_leaf copy_ fill_ zero_ detach_ normal_ uniform_ random_ bernoulli_",
    "fill_diagonal_",
)
GENERATOR = _words("manual_seed seed initial_seed get_state")
NDARRAY = _words(
    "astype copy fill flat flatten repeat item itemsize tolist conjugate nonzero take clip compress choose",
    "searchsorted partition argpartition at reduce reduceat accumulate outer",
    "randn randint standard_normal integers shuffle permutation choice",
)
"""Of arrays, of ufuncs (`np.add.at`) and of numpy's generators of random numbers."""

CONTAINERS = _words(
    "append extend insert pop popitem remove clear index count sort reverse copy keys values items get setdefault",
    "update add discard union intersection difference symmetric_difference issubset issuperset isdisjoint",
    "fromkeys move_to_end most_common elements appendleft popleft extendleft rotate default_factory _asdict _replace",
)
PLAIN_VALUES = _words(
    "join strip lstrip rstrip split rsplit splitlines partition replace upper lower title capitalize startswith",
    "endswith removeprefix removesuffix find rfind zfill ljust rjust center isdigit isalpha isidentifier",
    "bit_length is_integer conjugate hex args name start stop step",
)
"""Of text, numbers, ranges and exceptions."""

PLOTTING = _words(
    "plot scatter hist bar imshow matshow legend grid axhline axvline set_title set_xlabel set_ylabel set_xlim",
    "set_ylim set_xticks set_yticks set_yscale set_xscale suptitle tight_layout savefig colorbar text axis",
    "fill_between set_description set_postfix set_postfix_str update write close refresh",
)
"""Of figures, axes and progress bars, which are all stand-ins that draw nothing."""

METHODS = (
    _BOTH
    | _in_place(ELEMENTWISE | SHAPES | SCATTERING)
    | TENSOR_ONLY
    | GENERATOR
    | NDARRAY
    | CONTAINERS
    | PLAIN_VALUES
    | PLOTTING
)

# ---- Modules ----

FUNCTIONAL = _words(
    "softmax log_softmax softmin one_hot cross_entropy nll_loss linear relu relu6 tanh sigmoid logsigmoid softplus",
    "softsign gelu silu elu selu leaky_relu hardtanh embedding batch_norm layer_norm normalize pad dropout",
    "mse_loss l1_loss kl_div binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity",
)
NEURAL = _words(
    "Module Parameter Softmax LogSoftmax Tanh Sigmoid ReLU GELU Identity Flatten CrossEntropyLoss NLLLoss MSELoss"
)
NUMPY = _words(
    "abs absolute negative positive exp exp2 expm1 log log2 log10 log1p sqrt square power float_power reciprocal",
    "sign sin cos tan sinh cosh tanh arcsin arccos arctan arctan2 arcsinh arccosh arctanh hypot ceil floor trunc",
    "round around rint clip add subtract multiply divide true_divide floor_divide remainder mod maximum minimum",
    "fmax fmin where equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not",
    "isnan isinf isfinite isclose allclose array_equal nan_to_num sum mean prod max min amax amin argmax argmin",
    "all any var std median average cumsum cumprod count_nonzero unique bincount diff sort argsort nansum nanmean",
    "dot vdot inner outer matmul tensordot einsum kron cross trace diag diagonal diagflat tril triu",
    "array asarray ascontiguousarray copy zeros ones full empty zeros_like ones_like full_like empty_like eye identity",
    "arange linspace logspace meshgrid stack concatenate hstack vstack dstack column_stack block split array_split",
    "reshape ravel transpose swapaxes moveaxis expand_dims squeeze broadcast_to broadcast_arrays atleast_1d",
    "atleast_2d tile repeat flip fliplr flipud roll take put take_along_axis put_along_axis choose nonzero argwhere",
    "flatnonzero ix_ copyto place putmask fill_diagonal add isin searchsorted shape ndim size append delete",
    "ndarray float16 float32 float64 int8 int16 int32 int64 uint8 bool_ double single newaxis pi e inf nan",
)
MATH = _words(
    "acos acosh asin asinh atan atan2 atanh ceil comb copysign cos cosh degrees dist e erf erfc exp expm1 fabs",
    "factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp lgamma log",
    "log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau trunc ulp",
)

MODULES: Mapping[str, frozenset[str]] = {
    "torch": TORCH,
    "torch.linalg": _words("norm vector_norm matrix_norm multi_dot matmul inv solve det vecdot diagonal"),
    "torch.special": _words("expit softmax log_softmax logsumexp xlogy"),
    "torch.random": _words("manual_seed"),
    "torch.cuda": _words("is_available"),
    "torch.backends": frozenset(),
    "torch.backends.mps": _words("is_available is_built"),
    "torch.nn": NEURAL,
    "torch.nn.functional": FUNCTIONAL,
    "numpy": NUMPY,
    "numpy.linalg": _words("norm inv solve det matrix_power"),
    "numpy.random": _words("seed rand randn randint random normal uniform permutation shuffle choice default_rng"),
    "math": MATH,
    "random": _words("seed random randint randrange choice choices shuffle sample uniform gauss normalvariate Random"),
    "itertools": _words(
        "accumulate chain combinations count cycle islice pairwise permutations product repeat starmap zip_longest"
    ),
    "functools": _words("partial reduce lru_cache cache"),
    "operator": _words("add sub mul truediv floordiv matmul neg pow mod itemgetter eq lt gt"),
    "collections": _words("Counter OrderedDict defaultdict deque namedtuple"),
    "collections.abc": _words("Callable Iterable Iterator Mapping Sequence"),
    "dataclasses": _words("dataclass field asdict astuple replace"),
    "types": _words("SimpleNamespace"),
    "typing": _words(
        "Any Callable Dict Final Iterable Iterator List Literal Mapping NamedTuple Optional Sequence Set Tuple Type",
        "TypeVar Union",
    ),
    "copy": _words("copy deepcopy"),
    "time": _words("time perf_counter monotonic process_time"),
    "string": _words("ascii_letters ascii_lowercase ascii_uppercase digits"),
    "__future__": _words("annotations"),
}
"""What may be taken from each module. A module that is not listed here may not be imported where it is used."""

STAND_INS = _words(
    "matplotlib seaborn plotly IPython ipywidgets tqdm wandb",
    "grader.cmp grader.hint grader.live_losses grader.showing.plots grader.progress grader.show_graph",
)
"""What draws or reports. A stand-in takes its place, so everything of it may be written."""


def is_stand_in(path: str) -> bool:
    """True for what a stand-in takes the place of, and for everything in it: `matplotlib.pyplot.plot`."""
    first, _, rest = path.partition(".")
    return first in STAND_INS or f"{first}.{rest.partition('.')[0]}" in STAND_INS


# ---- Doors ----

AUTOGRAD_DOORS = _words(
    "autograd functorch vjp jvp jacrev jacfwd hessian enable_grad requires_grad requires_grad_ grad_fn grad_dtype",
    "retain_grad retains_grad register_hook register_post_accumulate_grad_hook",
)
DOORS = AUTOGRAD_DOORS | _words(
    # memory that belongs to others, and files
    "data_ptr const_data_ptr storage untyped_storage storage_type set_ resize resize_ resize_as resize_as_",
    "resize_as_sparse_ sparse_resize_ sparse_resize_and_clear_ as_subclass as_strided as_strided_ share_memory",
    "share_memory_ pin_memory module_load from_file from_dlpack to_dlpack frombuffer fromfile ctypes tofile dump dumps",
    "setfield getfield setflags strides base load save memmap DataSource apply_ map_ map2_",
    # frames, code and what functions hold
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await cr_origin ag_frame ag_code ag_await tb_frame tb_next",
    "f_back f_globals f_locals f_builtins f_code co_code co_consts co_names func_globals func_code with_traceback",
    # other objects and modules
    "obj mro modules builtins importlib sys os jit utils hub compile multiprocessing distributed ctypeslib f2py",
    "bit_generator capsule cffi attrgetter methodcaller format format_map make_dataclass",
    # what torch keeps under one underscore
    "_C _VF _backward_hooks _base _cdata _dtensor__new__ _fix_weakref _grad _grad_fn _make_subclass",
    "_make_wrapper_subclass _post_accumulate_grad_hooks _python_dispatch _reduce_ex_internal _rev_view_func_unsafe",
    "_typed_storage _view_func _view_func_unsafe",
)
"""Names that stay shut even where a submission has a field or method of its own by that name."""

# ---- Python's own ----

BUILTINS = _words(
    "abs all any bin bool callable chr complex dict divmod enumerate filter float format frozenset hash hex id int",
    "isinstance issubclass iter len list map max min next oct ord pow print property classmethod staticmethod range",
    "repr reversed round set slice sorted str sum tuple zip True False None Ellipsis NotImplemented",
    "Exception ArithmeticError AssertionError AttributeError ImportError IndexError KeyError LookupError",
    "ModuleNotFoundError NameError NotImplementedError OverflowError RuntimeError StopIteration TypeError",
    "UnboundLocalError UserWarning ValueError Warning ZeroDivisionError",
)
SHUT_BUILTINS = _words(
    "getattr setattr delattr hasattr eval exec compile open globals locals vars breakpoint memoryview bytearray object",
    "super type load_names",
)
"""Refused wherever they stand for Python's own, also where the file gives them another value somewhere."""

MAGIC_METHODS = _words(
    "__init__ __call__ __post_init__ __neg__ __pos__ __abs__",
    *(f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "pow", "matmul") for side in ("", "r")),
)
"""What a class of a submission may define."""
