//! The base class of `AudioSamples`: an array with its sample rate. It is native for what would be too slow or cannot be done in
//! Python: the operators, which add less than a microsecond to NumPy's own, and the buffer protocol, which only a native class
//! can offer before Python 3.12.

use std::ffi::c_int;
use std::ptr::null_mut;

use isotherm::audio::{AudioError, Shape, ZeroPosition};
use numpy::npyffi::PY_ARRAY_API;
use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError, PyZeroDivisionError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyInt, PyTuple, PyType};
use pyo3::{PyTypeInfo, ffi, intern};

/// The most channels of an array. More are refused, because they are frames then: soundfile's (frames, channels). 1024 is four
/// times what the largest consoles have.
const MAX_CHANNELS: usize = 1024;

/// The types of samples, for messages.
const TYPES: &str = "uint8, int16, int32, float32 or float64";

/// A NumPy array and its sample rate in Hz. Both stay the same for good; the array's samples may change.
#[pyclass(subclass, frozen, weakref, module = "isotherm._native")]
pub struct SampleBuffer {
    /// (frames,) for one channel, else (channels, frames), in native byte order.
    data: Py<PyUntypedArray>,
    sample_rate: u32,
}

/// An operation on two operands.
#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

impl Operation {
    /// The operator as Python writes it.
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::Power => "**",
        }
    }

    /// True if the right operand must not be zero.
    fn divides(self) -> bool {
        matches!(self, Self::Divide | Self::FloorDivide | Self::Remainder)
    }

    /// The operation by Python's number protocol, which is NumPy's for arrays; into the left operand if `in_place`.
    fn call<'py>(self, left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>, in_place: bool) -> PyResult<Bound<'py, PyAny>> {
        let (a, b) = (left.as_ptr(), right.as_ptr());
        // SAFETY: both are alive, the interpreter is attached, and each function gives a new reference, or null with an error set.
        unsafe {
            let result = match (self, in_place) {
                (Self::Add, false) => ffi::PyNumber_Add(a, b),
                (Self::Subtract, false) => ffi::PyNumber_Subtract(a, b),
                (Self::Multiply, false) => ffi::PyNumber_Multiply(a, b),
                (Self::Divide, false) => ffi::PyNumber_TrueDivide(a, b),
                (Self::FloorDivide, false) => ffi::PyNumber_FloorDivide(a, b),
                (Self::Remainder, false) => ffi::PyNumber_Remainder(a, b),
                (Self::Power, false) => ffi::PyNumber_Power(a, b, ffi::Py_None()),
                (Self::Add, true) => ffi::PyNumber_InPlaceAdd(a, b),
                (Self::Subtract, true) => ffi::PyNumber_InPlaceSubtract(a, b),
                (Self::Multiply, true) => ffi::PyNumber_InPlaceMultiply(a, b),
                (Self::Divide, true) => ffi::PyNumber_InPlaceTrueDivide(a, b),
                (Self::FloorDivide, true) => ffi::PyNumber_InPlaceFloorDivide(a, b),
                (Self::Remainder, true) => ffi::PyNumber_InPlaceRemainder(a, b),
                (Self::Power, true) => ffi::PyNumber_InPlacePower(a, b, ffi::Py_None()),
            };
            Bound::from_owned_ptr_or_err(left.py(), result)
        }
    }
}

/// Channels and frames of an array of (frames,) or (channels, frames).
fn shape_of(array: &Bound<'_, PyUntypedArray>) -> Shape {
    match *array.shape() {
        [frames] => Shape { channels: 1, frames },
        [channels, frames] => Shape { channels, frames },
        _ => Shape { channels: 0, frames: 0 },
    }
}

/// The shape as Python writes it.
fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// True if audio can have the array's samples: one of [`TYPES`], in native byte order.
fn is_audio_type(array: &Bound<'_, PyUntypedArray>) -> bool {
    let dtype = array.dtype();
    let listed = matches!((dtype.kind(), dtype.itemsize()), (b'f', 4 | 8) | (b'i', 2 | 4) | (b'u', 1));
    listed && dtype.is_native_byteorder() != Some(false)
}

/// True if the array has the shape of audio: (frames,), or (channels, frames) of 2 to [`MAX_CHANNELS`] channels.
fn is_audio_shape(array: &Bound<'_, PyUntypedArray>) -> bool {
    matches!(*array.shape(), [_] | [2..=MAX_CHANNELS, _])
}

/// Flat index of the first zero, in C order.
fn first_zero_of<T: Element + Copy + PartialEq + Default>(array: &Bound<'_, PyArrayDyn<T>>) -> Option<usize> {
    /// Elements that are compared side by side.
    const LANES: usize = 128;
    let zero = T::default();
    // SAFETY: the interpreter stays attached while the view lives, so no Python code changes the array.
    let view = unsafe { array.as_array() };
    let Some(all) = view.as_slice() else { return view.iter().position(|x| *x == zero) };
    let mut chunks = all.chunks_exact(LANES);
    let found = chunks.position(|chunk| chunk.iter().fold(false, |any, x| any | (*x == zero)));
    let from = found.map_or(all.len() - all.len() % LANES, |chunk| chunk * LANES);
    all[from..].iter().position(|x| *x == zero).map(|at| from + at)
}

/// Flat index of the first zero of an array of any type of numbers, in C order.
fn first_zero(array: &Bound<'_, PyUntypedArray>) -> PyResult<Option<usize>> {
    if array.is_aligned() {
        macro_rules! among {
            ($($type:ty)*) => {$(
                if let Ok(array) = array.cast::<PyArrayDyn<$type>>() {
                    return Ok(first_zero_of(array));
                }
            )*};
        }
        among!(f32 f64 i16 i32 u8 i64);
    }
    // Other types, byte orders and layouts, by way of NumPy.
    let equal = array.call_method1(intern!(array.py(), "__eq__"), (0,))?;
    let any: bool = equal.call_method0(intern!(array.py(), "any"))?.is_truthy()?;
    any.then(|| equal.call_method0(intern!(array.py(), "argmax"))?.extract()).transpose()
}

/// True for those of NumPy's functions whose second operand must not be zero.
fn is_division(ufunc: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DIVISIONS: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();
    let py = ufunc.py();
    let divisions = DIVISIONS.get_or_try_init(py, || {
        let numpy = py.import("numpy")?;
        let names = ["divide", "floor_divide", "remainder", "fmod", "divmod"];
        names.into_iter().map(|name| Ok(numpy.getattr(name)?.unbind())).collect::<PyResult<_>>()
    })?;
    Ok(divisions.iter().any(|division| division.is(ufunc)))
}

/// A `ValueError` with the text of an error of the core.
fn value_error(error: &AudioError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Makes an object of `class`, which is [`SampleBuffer`] or derived from it.
fn make<'py>(class: &Bound<'py, PyType>, data: &Bound<'py, PyAny>, sample_rate: u32) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let arguments = (data, sample_rate).into_pyobject(py)?;
    // SAFETY: the slot of a native class with a constructor is a `newfunc`, which takes a type derived from its own (`class` is
    // one), a tuple and no keywords, and gives a new reference, or null with an error set.
    unsafe {
        let slot = ffi::PyType_GetSlot(SampleBuffer::type_object_raw(py), ffi::Py_tp_new);
        let new: ffi::newfunc = std::mem::transmute(slot);
        Bound::from_owned_ptr_or_err(py, new(class.as_type_ptr(), arguments.as_ptr(), null_mut()))
    }
}

impl SampleBuffer {
    /// `result` with the class and the rate of `slf`.
    fn wrap<'py>(slf: &Bound<'py, Self>, result: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        make(&slf.get_type(), result, slf.get().sample_rate)
    }

    /// `result` as audio if it is an array of the audio's shape and of a type that audio has; else as it is. Each of several
    /// results for itself.
    fn like<'py>(slf: &Bound<'py, Self>, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(several) = result.cast::<PyTuple>() {
            let results = several.iter().map(|result| Self::like(slf, result)).collect::<PyResult<Vec<_>>>()?;
            return Ok(PyTuple::new(slf.py(), results)?.into_any());
        }
        match result.cast_exact::<PyUntypedArray>() {
            Ok(array) if array.shape() == slf.get().data.bind(slf.py()).shape() && is_audio_type(array) => {
                Self::wrap(slf, &result)
            }
            _ => Ok(result),
        }
    }

    /// `other` as an operand of the array: a number, or an array of a shape that is not broadcast by surprise. `None` if it is
    /// neither.
    fn operand<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        if other.is_exact_instance_of::<PyFloat>() || other.is_exact_instance_of::<PyInt>() {
            return Ok(Some(other.clone()));
        }
        let data = slf.get().data.bind(py);
        if let Ok(other) = other.cast::<Self>() {
            let (left, right) = (slf.get().sample_rate, other.get().sample_rate);
            if left != right {
                return Err(value_error(&AudioError::OtherRate { left, right }));
            }
            let array = other.get().data.bind(py);
            if array.shape() != data.shape() {
                let (expected, found) = (shape_of(data), shape_of(array));
                return Err(value_error(&AudioError::WrongShape { expected, found, channel: None }));
            }
            return Ok(Some(array.clone().into_any()));
        }
        if other.get_type().is(PyUntypedArray::type_object(py))
            && let Ok(array) = other.cast::<PyUntypedArray>()
        {
            return Self::array_operand(data, array).map(Some);
        }
        let found = slf.call_method1(intern!(py, "_operand"), (other,))?;
        match found.cast::<PyUntypedArray>() {
            Ok(array) => Self::array_operand(data, array).map(Some),
            Err(_) => Ok((!found.is(py.NotImplemented())).then_some(found)),
        }
    }

    /// The array `other` as an operand of `data`.
    fn array_operand<'py>(data: &Bound<'py, PyUntypedArray>, other: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyAny>> {
        if !matches!(other.dtype().kind(), b'b' | b'i' | b'u' | b'f' | b'c') {
            return Err(PyTypeError::new_err(format!("expected an array of numbers, found one of {}", other.dtype())));
        }
        let Shape { channels, frames } = shape_of(data);
        match *other.shape() {
            [] => {}
            [length] if length == frames => {}
            [rows, length] if rows == channels && (length == frames || length == 1) => {
                if channels == 1 {
                    // The array of one channel has no axis for it.
                    return if length == frames { other.get_item(0) } else { other.get_item((0, 0)) };
                }
            }
            ref found => {
                let hint = match *found {
                    [length] if length == channels => "; one number for each channel is an array of (channels, 1): x[:, None]",
                    [rows, columns] if rows == frames && columns == channels => {
                        "; soundfile.read gives (frames, channels): transpose it, x.T"
                    }
                    _ => "",
                };
                let expected = Shape { channels, frames };
                let every = if channels > 1 { format!(" or ({frames},) for every channel") } else { String::new() };
                let found = shape_text(found);
                let text = format!("expected {expected} (channels x frames){every}, found an array of {found}{hint}");
                return Err(PyValueError::new_err(text));
            }
        }
        Ok(other.clone().into_any())
    }

    /// An error if the divisor `operand` has a zero.
    fn check_divisor(operand: &Bound<'_, PyAny>) -> PyResult<()> {
        let at = match operand.cast::<PyUntypedArray>() {
            Ok(array) if array.ndim() > 0 => match (first_zero(array)?, array.shape()) {
                (None, _) => return Ok(()),
                (Some(channel), [_, 1]) => {
                    return Err(PyZeroDivisionError::new_err(format!("division by zero at every frame, channel {channel}")));
                }
                (Some(at), &[_, frames]) => ZeroPosition::Sample { channel: at / frames, frame: at % frames },
                (Some(frame), _) => ZeroPosition::Frame(frame),
            },
            // NaN is true.
            _ if operand.is_truthy()? => return Ok(()),
            _ => ZeroPosition::Scalar,
        };
        Err(PyZeroDivisionError::new_err(AudioError::DivisionByZero { at }.to_string()))
    }

    /// `slf operation other`.
    fn binary<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, operation: Operation) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(operand) = Self::operand(slf, other)? else { return Ok(py.NotImplemented().into_bound(py)) };
        if operation.divides() {
            Self::check_divisor(&operand)?;
        }
        Self::wrap(slf, &operation.call(slf.get().data.bind(py).as_any(), &operand, false)?)
    }

    /// `other operation slf`.
    fn reflected<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, operation: Operation) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(operand) = Self::operand(slf, other)? else { return Ok(py.NotImplemented().into_bound(py)) };
        if operation.divides() {
            let text = format!(
                "a number {0} audio is not implemented, as most audio has zeros: for audio without any, numpy.divide(number, audio)",
                operation.symbol()
            );
            return Err(PyTypeError::new_err(text));
        }
        Self::wrap(slf, &operation.call(&operand, slf.get().data.bind(py).as_any(), false)?)
    }

    /// `slf operation= other`.
    fn in_place(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, operation: Operation) -> PyResult<()> {
        let py = slf.py();
        let Some(operand) = Self::operand(slf, other)? else {
            let (symbol, found) = (operation.symbol(), other.get_type().name()?);
            let text = format!("unsupported operand type for {symbol}=: expected a number, an array or audio, found {found}");
            return Err(PyTypeError::new_err(text));
        };
        if operation.divides() {
            // Before the first sample changes.
            Self::check_divisor(&operand)?;
        }
        operation.call(slf.get().data.bind(py).as_any(), &operand, true).map(drop)
    }

    /// The result of one of NumPy's functions of one array.
    fn unary<'py>(
        slf: &Bound<'py, Self>,
        function: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject,
    ) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the array is alive, and the function gives a new reference, or null with an error set.
        let result = unsafe { Bound::from_owned_ptr_or_err(slf.py(), function(slf.get().data.as_ptr()))? };
        Self::wrap(slf, &result)
    }
}

#[pymethods]
impl SampleBuffer {
    /// Takes the array as it is, without a copy.
    ///
    /// # Errors
    /// `TypeError` for other types of samples, `ValueError` for other shapes and for a rate of 0.
    #[new]
    fn new(data: &Bound<'_, PyAny>, sample_rate: u32) -> PyResult<Self> {
        let array = data.cast_exact::<PyUntypedArray>().map_err(|_| {
            let found = data.get_type();
            PyTypeError::new_err(format!("expected a numpy.ndarray of samples, found {found}"))
        })?;
        if !is_audio_type(array) {
            let text = format!(
                "expected samples of {TYPES}, found {}: give numbers or an array of the audio's own type, or convert, as with \
                 .astype(numpy.float32)",
                array.dtype()
            );
            return Err(PyTypeError::new_err(text));
        }
        if !is_audio_shape(array) {
            let found = shape_text(array.shape());
            let text = format!("expected (frames,) or (channels, frames) with 2 to {MAX_CHANNELS} channels, found {found}");
            return Err(PyValueError::new_err(text));
        }
        if sample_rate == 0 {
            return Err(value_error(&AudioError::ZeroRate));
        }
        Ok(Self { data: array.clone().unbind(), sample_rate })
    }

    /// Makes audio of an array without a copy and without a look at its samples; the class's other constructors check more.
    #[classmethod]
    fn _wrap<'py>(cls: &Bound<'py, PyType>, data: &Bound<'py, PyAny>, sample_rate: u32) -> PyResult<Bound<'py, PyAny>> {
        make(cls, data, sample_rate)
    }

    /// The array itself, for the package's own modules.
    #[getter]
    fn _data(&self, py: Python<'_>) -> Py<PyUntypedArray> {
        self.data.clone_ref(py)
    }

    /// The samples as a NumPy array that shares their memory: (frames,) for one channel, else (channels, frames). It is read-only
    /// if the audio's memory is.
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let data = self.data.bind(py).as_array_ptr();
        // SAFETY: the array is alive; null pointers stand for its own type and class; the result is a new reference, or null with
        // an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, PY_ARRAY_API.PyArray_View(py, data, null_mut(), null_mut())) }
    }

    /// Samples per second and channel, in Hz.
    #[getter]
    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    fn __add__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::Add)
    }

    fn __radd__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Add)
    }

    fn __iadd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Add)
    }

    fn __sub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::Subtract)
    }

    fn __rsub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Subtract)
    }

    fn __isub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Subtract)
    }

    fn __mul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::Multiply)
    }

    fn __rmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Multiply)
    }

    fn __imul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Multiply)
    }

    fn __truediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::Divide)
    }

    fn __rtruediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Divide)
    }

    fn __itruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Divide)
    }

    fn __floordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::FloorDivide)
    }

    fn __rfloordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::FloorDivide)
    }

    fn __ifloordiv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::FloorDivide)
    }

    fn __mod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::binary(slf, other, Operation::Remainder)
    }

    fn __rmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Remainder)
    }

    fn __imod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Remainder)
    }

    fn __pow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !modulo.is_none() {
            return Err(PyTypeError::new_err("a power of audio with a modulus is not implemented"));
        }
        Self::binary(slf, other, Operation::Power)
    }

    fn __rpow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        _modulo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::reflected(slf, other, Operation::Power)
    }

    fn __ipow__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, _modulo: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::in_place(slf, other, Operation::Power)
    }

    fn __neg__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::unary(slf, ffi::PyNumber_Negative)
    }

    fn __pos__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::unary(slf, ffi::PyNumber_Positive)
    }

    fn __abs__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::unary(slf, ffi::PyNumber_Absolute)
    }

    /// NumPy's functions of numbers, such as `numpy.tanh` and `array * audio`. The usual calls end here; others go to `_ufunc`.
    #[pyo3(signature = (ufunc, method, *inputs, **options))]
    fn __array_ufunc__<'py>(
        slf: &Bound<'py, Self>,
        ufunc: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        inputs: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        // Functions with a signature work on whole axes.
        let usual = options.is_none()
            && inputs.len() <= 2
            && method.eq(intern!(py, "__call__"))?
            && ufunc.getattr(intern!(py, "signature"))?.is_none();
        if !usual {
            return slf.call_method1(intern!(py, "_ufunc"), (ufunc, method, inputs, options));
        }
        let left = inputs.get_borrowed_item(0)?;
        let Ok(right) = inputs.get_borrowed_item(1) else {
            return Self::like(slf, ufunc.call1((slf.get().data.bind(py),))?);
        };
        // The order of the operands is that of the call.
        let (first, other, swapped) = match left.cast::<Self>() {
            Ok(first) => (first.to_owned(), right, false),
            Err(_) => (slf.clone(), left, true),
        };
        let Some(operand) = Self::operand(&first, &other)? else { return Ok(py.NotImplemented().into_bound(py)) };
        let data = first.get().data.bind(py).as_any();
        let (a, b) = if swapped { (&operand, data) } else { (data, &operand) };
        if is_division(ufunc)? {
            Self::check_divisor(b)?;
        }
        Self::like(&first, ufunc.call1((a, b))?)
    }

    /// `other` as it is for an operator: a number or an array of the right shape; `NotImplemented` for what is neither.
    fn _checked<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Ok(Self::operand(slf, other)?.unwrap_or_else(|| py.NotImplemented().into_bound(py)))
    }

    /// Raises `ZeroDivisionError` if the number or array `divisor` has a zero.
    #[staticmethod]
    fn _check_divisor(divisor: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::check_divisor(divisor)
    }

    /// Passes the request on to the array, which owns the memory and keeps it alive.
    ///
    /// # Safety
    /// Python calls it with a view to fill.
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        // SAFETY: `view` is not null, and the array is alive during the call; the view holds a reference to it afterwards.
        match unsafe { ffi::PyObject_GetBuffer(slf.get().data.as_ptr(), view, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}
