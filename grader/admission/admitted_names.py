"""What an answer may reach: the members of each module, and the fields and methods of each kind of value.

The lists are frozen here, so that a new release of torch opens no door. A test holds them against what is
installed: each name exists, and none leads to a module or to a known door.
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
    "positive maximum minimum fmax fmin logaddexp logaddexp2 signbit where",
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
    "manual_seed autocast",
    "tril_indices triu_indices meshgrid cartesian_prod combinations block_diag cat concat concatenate stack",
    "hstack vstack dstack column_stack row_stack atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_shapes",
    "einsum tensordot chain_matmul cdist cosine_similarity embedding batch_norm layer_norm var_mean std_mean",
    "isin searchsorted bucketize is_tensor get_default_dtype result_type promote_types finfo iinfo dropout vmap",
)
DTYPES = _words(
    "float float16 float32 float64 bfloat16 half double int int8 int16 int32 int64 uint8 short long bool",
    "strided contiguous_format preserve_format pi e inf nan newaxis",
)
TYPES = _words("Tensor Generator Size device dtype FloatTensor DoubleTensor LongTensor IntTensor BoolTensor")
GRADIENTS_OFF = _words("no_grad inference_mode set_grad_enabled is_grad_enabled")
TORCH = _BOTH | CREATION | DTYPES | TYPES | GRADIENTS_OFF

# ---- Fields and methods, by the kind of value ----

TENSOR = (
    _BOTH
    | _in_place(ELEMENTWISE | SHAPES | SCATTERING)
    | _words(
        "view view_as expand expand_as reshape_as repeat type_as to type float double half bfloat16 int long short",
        "byte bool cpu numpy tolist item dim ndim ndimension size shape dtype device data T mT H mH nelement stride",
        "contiguous is_contiguous new_zeros new_ones new_full new_empty new_tensor sum_to_size element_size itemsize",
        "nbytes unfold is_cuda is_leaf copy_ fill_ zero_ detach_ normal_ uniform_ random_ bernoulli_ fill_diagonal_",
        "requires_grad requires_grad_ grad",
    )
)
"""`grad` is what a submission stored there itself, and `requires_grad_` takes False; see `guards`."""

GENERATOR = _words("manual_seed seed initial_seed get_state device")
ARRAY = _words(
    "all any argmax argmin argsort astype clip compress choose copy cumprod cumsum diagonal dot dtype fill flat",
    "flatten",
    "item itemsize max mean min nbytes ndim nonzero partition argpartition prod put ravel repeat reshape round",
    "searchsorted shape size sort squeeze std sum swapaxes T take tolist trace transpose var is_integer",
)
UFUNC = _words("at reduce reduceat accumulate outer")
DRAWS = _words(
    "choice integers normal permutation permuted rand randint randn random shuffle standard_normal uniform poisson",
    "exponential binomial seed",
)
MODULE = _words(
    "forward parameters named_parameters buffers named_buffers children named_children modules named_modules",
    "train eval training to float double half zero_grad state_dict load_state_dict register_buffer apply",
    "append extend insert keys values items",
)
"""Of `torch.nn.Module`; each layer adds its own parameters and the sizes that it was made with."""

# ---- Modules ----

FUNCTIONAL = _words(
    "softmax log_softmax softmin one_hot cross_entropy nll_loss linear relu relu6 tanh sigmoid logsigmoid softplus",
    "softsign gelu silu elu selu leaky_relu hardtanh embedding batch_norm layer_norm normalize pad dropout",
    "mse_loss l1_loss kl_div binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity unfold",
    "scaled_dot_product_attention conv1d conv2d avg_pool2d max_pool2d",
)
NEURAL = _words(
    "Module Parameter Softmax LogSoftmax Tanh Sigmoid ReLU GELU SiLU Identity Flatten CrossEntropyLoss NLLLoss MSELoss",
    "Sequential ModuleList ModuleDict ParameterList Linear Embedding Dropout BatchNorm1d LayerNorm LeakyReLU Softplus",
    "Conv1d Conv2d",
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
    "errstate finfo iinfo vectorize apply_along_axis histogram cov corrcoef cbrt interp invert floating integer",
    "ndenumerate ndindex c_ r_ s_",
)
MATH = _words(
    "acos acosh asin asinh atan atan2 atanh ceil comb copysign cos cosh degrees dist e erf erfc exp expm1 fabs",
    "factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp lgamma log",
    "log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau trunc ulp",
)

MODULES: Mapping[str, frozenset[str]] = {
    "torch": TORCH,
    "torch.linalg": _words("norm vector_norm matrix_norm multi_dot matmul inv solve det vecdot diagonal"),
    "torch.testing": frozenset(),
    "torch.special": _words("expit softmax log_softmax logsumexp xlogy"),
    "torch.random": _words("manual_seed"),
    "torch.func": _words("vmap"),
    "torch.amp": _words("autocast"),
    "torch.cuda.amp": _words("autocast"),
    "torch.cuda": _words("is_available"),
    "torch.backends": frozenset(),
    "torch.backends.mps": _words("is_available is_built"),
    "torch.nn": NEURAL,
    "torch.nn.functional": FUNCTIONAL,
    "torch.nn.init": _words(
        "zeros_ ones_ constant_ eye_ normal_ uniform_ xavier_normal_ xavier_uniform_ kaiming_normal_"
    ),
    "numpy": NUMPY,
    "numpy.linalg": _words("norm inv solve det matrix_power"),
    "numpy.random": _words(
        "seed rand randn randint random normal uniform permutation shuffle choice default_rng RandomState"
    ),
    "numpy.testing": frozenset(),
    "math": MATH,
    "random": _words("seed random randint randrange choice choices shuffle sample uniform gauss normalvariate Random"),
    "itertools": _words(
        "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse",
        "groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
    ),
    "abc": _words("ABC ABCMeta abstractmethod"),
    "contextlib": _words("contextmanager suppress nullcontext ExitStack redirect_stdout redirect_stderr"),
    "functools": _words("partial reduce lru_cache cache cached_property wraps total_ordering cmp_to_key"),
    "operator": _words(
        "add sub mul truediv floordiv matmul neg pow mod itemgetter attrgetter methodcaller getitem setitem eq ne lt",
        "le gt ge iadd isub imul itruediv and_ or_ xor not_ truth is_ is_not contains abs index",
    ),
    "collections": _words("ChainMap Counter OrderedDict UserDict defaultdict deque namedtuple"),
    "collections.abc": _words("Callable Generator Iterable Iterator Mapping MutableMapping Sequence"),
    "dataclasses": _words("dataclass field fields asdict astuple replace is_dataclass InitVar KW_ONLY"),
    "enum": _words("Enum IntEnum StrEnum Flag IntFlag EnumMeta auto unique"),
    "types": _words("SimpleNamespace"),
    "typing": _words(
        "Annotated Any Callable ClassVar DefaultDict Deque Dict Final Generator Generic Iterable Iterator List Literal",
        "Mapping NamedTuple NewType NoReturn Optional Protocol Self Sequence Set Tuple Type TypeAlias TypeVar",
        "TypedDict TYPE_CHECKING Union cast overload",
    ),
    "bisect": _words("bisect bisect_left bisect_right insort"),
    "datetime": _words("date datetime timedelta"),
    "decimal": _words("Decimal"),
    "fractions": _words("Fraction"),
    "heapq": _words("heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest"),
    "io": _words("StringIO"),
    "json": _words("dumps loads"),
    "numbers": _words("Integral Number Real"),
    "os": frozenset(),
    "pathlib": frozenset(),
    "re": _words("compile escape findall finditer fullmatch match search split sub I IGNORECASE M MULTILINE"),
    "statistics": _words(
        "fmean geometric_mean harmonic_mean mean median median_high median_low mode pstdev pvariance quantiles stdev",
        "variance",
    ),
    "sys": _words("float_info getsizeof maxsize version_info"),
    "textwrap": _words("dedent fill indent shorten wrap"),
    "urllib": frozenset(),
    "urllib.request": frozenset(),
    "copy": _words("copy deepcopy"),
    "time": _words("time perf_counter monotonic process_time"),
    "string": _words("ascii_letters ascii_lowercase ascii_uppercase digits"),
    "__future__": _words("annotations"),
}
"""What each module gives to an answer, beside `SILENT_MEMBERS` and the lesson's data. It may import no others."""

SILENT = _words(
    "matplotlib mpl_toolkits seaborn plotly bokeh altair IPython ipywidgets tqdm wandb tensorboard warnings logging",
    "pprint traceback gc platform graphviz torchviz torchinfo torchsummary rich tabulate prettytable termcolor",
    "colorama pandas requests",
)
"""What draws or reports. A stand-in takes its place, so everything of it may be written."""

SILENT_MEMBERS: Mapping[str, frozenset[str]] = {
    "torch": _words(
        "set_printoptions set_num_threads set_default_dtype set_default_device set_float32_matmul_precision",
        "use_deterministic_algorithms set_flush_denormal",
    ),
    "torch.cuda": _words("empty_cache synchronize manual_seed manual_seed_all"),
    "torch.backends": _words("cudnn"),
    "torch.testing": _words("assert_close assert_allclose"),
    "numpy": _words("set_printoptions seterr"),
    "numpy.testing": _words("assert_allclose assert_almost_equal assert_array_almost_equal assert_array_equal"),
    "os": _words("environ getenv path"),
    "sys": _words("stdout stderr setrecursionlimit"),
}
"""The same of modules that give other things as well: settings and checks that change no gradient."""

SILENT_HERE = _words("cmp hint live_losses progress show_graph plots")
"""The same of this package: `from grader import cmp`."""

# ---- Python's own ----

BUILTINS = _words(
    "abs all any ascii bin bool bytes callable chr classmethod dict divmod enumerate filter float format",
    "frozenset hash",
    "hex id int isinstance issubclass iter len list map max min next object oct ord property range repr reversed round",
    "set slice sorted staticmethod str sum super tuple zip Ellipsis NotImplemented",
)
"""With every exception; for some others `guards` has a form that asks first."""

MAGIC_METHODS = _words(
    "__init__ __call__ __post_init__ __repr__ __str__ __format__ __len__ __bool__ __int__ __float__ __index__ __hash__",
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __getitem__ __setitem__ __delitem__ __contains__ __iter__ __next__",
    "__reversed__ __missing__ __enter__ __exit__ __neg__ __pos__ __abs__ __invert__ __round__",
    "__new__ __init_subclass__ __class_getitem__ __set_name__ __get__ __set__ __delete__",
    "__getattr__ __setattr__ __delattr__",
    *(
        f"__{side}{name}__"
        for name in "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift".split()
        for side in ("", "r", "i")
    ),
)
"""What a class of a submission may define, and call of what it derives from by `super()`."""

AUTOGRAD = _words(
    "autograd functorch func vjp jvp jacrev jacfwd hessian linearize enable_grad set_grad_enabled requires_grad",
    "requires_grad_ backward grad grad_fn grad_dtype retain_grad retains_grad register_hook",
    "register_post_accumulate_grad_hook forward_ad ops",
)
"""Names that lead to gradients by torch, for the sentence that a learner reads: what is admitted stands above."""
