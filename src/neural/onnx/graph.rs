//! Reading and checking an `.onnx` file without ONNX Runtime. The file is a message of protocol buffers; `onnx.proto3` of the
//! ONNX project defines the fields. A file that breaks the contract (`docs/models.md`) is refused here, before anything runs
//! it.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::collections::BTreeSet;

/// Name of the input tensor with the audio.
pub const AUDIO: &str = "audio";
/// Name of the output tensor with the audio.
pub const OUTPUT: &str = "output";
/// Name of the input tensor with the values of the knobs.
pub const KNOBS: &str = "knobs";
/// First characters of the name of a state tensor.
const STATE_PREFIX: &str = "state_";
/// Characters that the name of a state's output tensor has after that of its input tensor.
const STATE_OUTPUT_SUFFIX: &str = "_out";

/// Largest number of frames of a graph that is made for a fixed number.
pub const MAX_FRAMES: usize = 8192;
/// Largest number of values of all state tensors of a channel together (4 MiB).
pub const MAX_STATE_VALUES: usize = 1 << 20;
/// Largest number of knobs.
pub const MAX_KNOBS: usize = 64;

/// Names of the types in `TensorProto.DataType`; the first is number 1.
const TYPES: [&str; 16] = [
    "float32",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "float64",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
];
/// Number of the type float32.
const FLOAT32: u64 = 1;
/// Numbers of the types that trained weights have: float32, float16, float64, bfloat16.
const TRAINED_TYPES: [u64; 4] = [1, 10, 11, 16];

/// The inputs and outputs of a graph, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// True if one run takes any number of channels (the batch), false if it takes one.
    pub batched: bool,
    /// Frames of a run; `None` if the graph takes any number.
    pub frames: Option<usize>,
    /// Columns of the tensor `knobs`; 0 without one.
    pub knobs: usize,
    /// The state tensors, in the order of the graph's inputs.
    pub states: Vec<StateTensor>,
}

/// A tensor that is an output of one run and an input of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// Name as an input.
    pub input: String,
    /// Name as an output.
    pub output: String,
    /// Shape for one channel: the batch is 1.
    pub shape: Vec<usize>,
    /// Index of the dimension that is the batch, if the graph is batched.
    pub batch: Option<usize>,
}

impl StateTensor {
    /// Count of the values for one channel.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The content of a file that matters here.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The checked inputs and outputs.
    pub contract: Contract,
    /// Keys and values of the metadata.
    pub metadata: Vec<(String, String)>,
    /// Names of the operators, each once, in the order of the graph.
    pub operators: Vec<String>,
    /// Count of the nodes.
    pub nodes: usize,
    /// Count of the values in tensors of [`TRAINED_TYPES`].
    pub parameters: usize,
}

/// The value of a field of a message. The argument `what` of its methods names the field in errors.
enum FieldValue<'a> {
    /// A varint.
    Number(u64),
    /// A string, a message, packed numbers, or a number of 4 or 8 bytes.
    Bytes(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    fn bytes(self, what: &str) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(n) => Err(format!("{what} is the number {n}; expected a message or a string (is this an ONNX file?)")),
        }
    }

    fn text(self, what: &str) -> Result<String, String> {
        let bytes = self.bytes(what)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("{what} is no UTF-8 text"))
    }

    fn number(self, what: &str) -> Result<u64, String> {
        match self {
            Self::Number(n) => Ok(n),
            Self::Bytes(b) => Err(format!("{what} is {} bytes; expected a number", b.len())),
        }
    }
}

/// Reads a message field by field.
struct MessageReader<'a> {
    /// Bytes that are not read yet.
    rest: &'a [u8],
    /// Name of the message, for errors.
    what: &'static str,
}

impl<'a> MessageReader<'a> {
    fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    /// Reads a varint: a number with seven bits in each byte, the lowest first.
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first().ok_or_else(|| format!("{} ends inside a number", self.what))?;
            self.rest = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(format!("{} has a number of more than ten bytes (is this an ONNX file?)", self.what))
    }

    /// Takes this many bytes.
    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let here = self.rest.len();
        let length = usize::try_from(length).ok().filter(|n| *n <= here);
        let length =
            length.ok_or_else(|| format!("{} is cut short: {here} bytes are left where it says there are more", self.what))?;
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next field: its number and its value. `None` at the end of the message.
    fn next(&mut self) -> Result<Option<(u64, FieldValue<'a>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => FieldValue::Number(self.varint()?),
            1 => FieldValue::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                FieldValue::Bytes(self.take(length)?)
            }
            5 => FieldValue::Bytes(self.take(4)?),
            kind => {
                return Err(format!("{} has a field of kind {kind}; expected 0, 1, 2 or 5 (is this an ONNX file?)", self.what));
            }
        };
        Ok(Some((tag >> 3, field)))
    }
}

/// The declaration of an input or output (`ValueInfoProto`).
#[derive(Debug, PartialEq)]
struct ValueInfo {
    name: String,
    /// Number of the type, as in [`TYPES`]; 0 if the value is not a tensor.
    kind: u64,
    /// The dimensions, `None` for each free one. `None` if no shape is declared.
    shape: Option<Vec<Option<i64>>>,
}

/// The parts of a graph that were read so far.
#[derive(Default)]
struct GraphScan {
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    /// Names of the initializers. Some exporters list these as inputs, too.
    initializers: BTreeSet<String>,
    operators: Vec<String>,
    nodes: usize,
    parameters: usize,
}

/// Reads and checks the bytes of a file. [control thread: allocates]
///
/// # Errors
/// If the bytes are not an ONNX model or break the contract. The text says what was found and what was expected.
pub fn read(bytes: &[u8]) -> Result<Graph, String> {
    let mut scan = GraphScan::default();
    let mut metadata = Vec::new();
    let mut graphs = 0;
    let mut model = MessageReader::new(bytes, "the ONNX file");
    while let Some((number, field)) = model.next()? {
        match number {
            7 => {
                graphs += 1;
                scan.graph(field.bytes("graph")?)?;
            }
            14 => metadata.push(entry(field.bytes("metadata_props")?)?),
            25 => return Err("the file defines functions of its own; expected a graph of plain operators".into()),
            _ => {}
        }
    }
    if graphs != 1 {
        return Err(format!("the file holds {graphs} ONNX graphs; expected 1"));
    }
    scan.inputs.retain(|input| !scan.initializers.contains(&input.name));
    let contract = contract(&scan.inputs, &scan.outputs)?;
    let GraphScan { operators, nodes, parameters, .. } = scan;
    Ok(Graph { contract, metadata, operators, nodes, parameters })
}

/// Reads a key and a value of the metadata.
fn entry(bytes: &[u8]) -> Result<(String, String), String> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut reader = MessageReader::new(bytes, "metadata_props");
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => key = field.text("a key of metadata_props")?,
            2 => value = field.text("a value of metadata_props")?,
            _ => {}
        }
    }
    Ok((key, value))
}

impl GraphScan {
    /// Reads a graph.
    fn graph(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut graph = MessageReader::new(bytes, "the graph");
        while let Some((number, field)) = graph.next()? {
            match number {
                1 => self.node(field.bytes("node")?)?,
                5 => {
                    let name = self.tensor(field.bytes("initializer")?)?;
                    self.initializers.insert(name);
                }
                11 => self.inputs.push(value(field.bytes("input")?)?),
                12 => self.outputs.push(value(field.bytes("output")?)?),
                15 => return Err("the graph has a sparse initializer; expected dense ones".into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a node, with the tensors in its attributes.
    fn node(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut node = MessageReader::new(bytes, "a node");
        let mut attributes = Vec::new();
        let mut operator = String::new();
        while let Some((number, field)) = node.next()? {
            match number {
                4 => operator = field.text("op_type")?,
                5 => attributes.push(field.bytes("attribute")?),
                _ => {}
            }
        }
        for bytes in attributes {
            let mut attribute = MessageReader::new(bytes, "an attribute");
            while let Some((number, field)) = attribute.next()? {
                match number {
                    5 | 10 => {
                        self.tensor(field.bytes("a tensor of an attribute")?)?;
                    }
                    // Such operators (loops, conditions) might run for ever.
                    6 | 11 => return Err(format!("operator {operator} runs a graph of its own; expected operators without one")),
                    22 | 23 => return Err(format!("operator {operator} has a sparse tensor; expected dense ones")),
                    _ => {}
                }
            }
        }
        self.nodes += 1;
        if !self.operators.contains(&operator) {
            self.operators.push(operator);
        }
        Ok(())
    }

    /// Reads and checks a tensor. Returns its name.
    fn tensor(&mut self, bytes: &[u8]) -> Result<String, String> {
        let mut tensor = MessageReader::new(bytes, "a tensor");
        let (mut name, mut dims, mut kind, mut external) = (String::new(), Vec::new(), 0, false);
        let (mut raw, mut floats): (&[u8], Vec<&[u8]>) = (&[], Vec::new());
        while let Some((number, field)) = tensor.next()? {
            match (number, field) {
                (1, FieldValue::Number(n)) => dims.push(n.cast_signed()),
                (1, FieldValue::Bytes(packed)) => {
                    let mut packed = MessageReader::new(packed, "a tensor's dims");
                    while !packed.rest.is_empty() {
                        dims.push(packed.varint()?.cast_signed());
                    }
                }
                (2, field) => kind = field.number("data_type")?,
                (4, field) => floats.push(field.bytes("float_data")?),
                (8, field) => name = field.text("a tensor's name")?,
                (9, field) => raw = field.bytes("raw_data")?,
                (13, _) => external = true,
                (14, field) => external |= field.number("data_location")? != 0,
                _ => {}
            }
        }
        if external {
            return Err(format!(
                "tensor '{name}' is in another file (external data); expected all weights inside the .onnx file"
            ));
        }
        let elements = dims.iter().try_fold(1_u64, |all, n| all.checked_mul(u64::try_from(*n).ok()?));
        // The smallest type has four bits, so there are at most two elements a byte.
        let elements = elements.filter(|n| *n <= 2 * bytes.len() as u64).ok_or_else(|| {
            format!("tensor '{name}' is said to be {}; the file holds {} bytes of it", dims_text(&dims), bytes.len())
        })?;
        let held = (raw.len() + floats.iter().map(|f| f.len()).sum::<usize>()) as u64;
        if kind == FLOAT32 && held != 4 * elements {
            let expected = 4 * elements;
            return Err(format!("tensor '{name}' has {held} bytes; expected {expected} for {}", dims_text(&dims)));
        }
        if kind == FLOAT32 {
            let values = floats.iter().copied().chain([raw]).flat_map(|part| part.chunks_exact(4));
            for (at, value) in values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).enumerate() {
                if !value.is_finite() {
                    return Err(format!("tensor '{name}' has {value} at {at}; expected finite numbers"));
                }
            }
        }
        if TRAINED_TYPES.contains(&kind) {
            // There are at most twice as many elements as bytes, so their number fits into a usize.
            self.parameters = self.parameters.saturating_add(usize::try_from(elements).unwrap_or(usize::MAX));
        }
        Ok(name)
    }
}

/// A shape for errors: `2 x 3`.
fn dims_text(dims: &[i64]) -> String {
    let words: Vec<String> = dims.iter().map(i64::to_string).collect();
    words.join(" x ")
}

/// Reads the declaration of an input or output.
fn value(bytes: &[u8]) -> Result<ValueInfo, String> {
    let mut value = ValueInfo { name: String::new(), kind: 0, shape: None };
    let mut info = MessageReader::new(bytes, "an input or output");
    while let Some((number, field)) = info.next()? {
        match number {
            1 => value.name = field.text("the name of an input or output")?,
            2 => {
                let mut kind = MessageReader::new(field.bytes("type")?, "a type");
                while let Some((number, field)) = kind.next()? {
                    if number == 1 {
                        let mut tensor = MessageReader::new(field.bytes("tensor_type")?, "a tensor's type");
                        while let Some((number, field)) = tensor.next()? {
                            match number {
                                1 => value.kind = field.number("elem_type")?,
                                2 => value.shape = Some(shape(field.bytes("shape")?)?),
                                _ => {}
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(value)
}

/// Reads a shape; `None` stands for a free dimension.
fn shape(bytes: &[u8]) -> Result<Vec<Option<i64>>, String> {
    let mut dims = Vec::new();
    let mut reader = MessageReader::new(bytes, "a shape");
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            let mut size = None;
            let mut dim = MessageReader::new(field.bytes("dim")?, "a dimension");
            while let Some((number, field)) = dim.next()? {
                if number == 1 {
                    size = Some(field.number("dim_value")?.cast_signed());
                }
            }
            dims.push(size);
        }
    }
    Ok(dims)
}

/// A declared shape for errors: `1 x ?`, with `?` for a free dimension.
fn shape_text(shape: Option<&[Option<i64>]>) -> String {
    match shape {
        None => "of no declared shape".into(),
        Some([]) => "a scalar".into(),
        Some(dims) => dims.iter().map(|d| d.map_or("?".into(), |n| n.to_string())).collect::<Vec<_>>().join(" x "),
    }
}

/// The names of inputs or outputs for errors.
fn names(values: &[ValueInfo]) -> String {
    values.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Finds the only value with a name. `side` is "input" or "output", for errors.
fn find<'a>(values: &'a [ValueInfo], name: &str, side: &str) -> Result<&'a ValueInfo, String> {
    let mut found = values.iter().filter(|v| v.name == name);
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(format!("two {side}s are named '{name}'; expected one")),
        (None, _) => Err(format!("no {side} is named '{name}'; found {}", names(values))),
    }
}

/// Checks that a value is of type float32.
fn check_type(value: &ValueInfo) -> Result<(), String> {
    if value.kind == FLOAT32 {
        return Ok(());
    }
    let found = usize::try_from(value.kind).ok().and_then(|k| TYPES.get(k.checked_sub(1)?));
    let found = found.map_or_else(|| format!("of type {}", value.kind), |f| (*f).to_owned());
    Err(format!("'{}' is {found}; expected float32", value.name))
}

/// The declared dimensions of an input, `rank` of them if that is given. `expected` describes the right shape, for the error.
///
/// # Errors
/// If the input is not of type float32, has no shape, another rank, or a dimension below 1.
fn dims<'a>(value: &'a ValueInfo, rank: Option<usize>, expected: &str) -> Result<&'a [Option<i64>], String> {
    check_type(value)?;
    let shape = value.shape.as_deref();
    let bad = |shape: &[Option<i64>]| shape.iter().any(|d| d.is_some_and(|n| n < 1)) || rank.is_some_and(|r| r != shape.len());
    match shape {
        Some(shape) if !bad(shape) => Ok(shape),
        _ => Err(format!("'{}' is {}; expected {expected}", value.name, shape_text(shape))),
    }
}

/// Checks that an output is of type float32 and, as far as its shape is declared, has the shape `with` of the input named
/// `input`.
fn check_output(output: &ValueInfo, input: &str, with: &[Option<i64>]) -> Result<(), String> {
    check_type(output)?;
    if agrees(output, with) {
        return Ok(());
    }
    let (found, expected) = (shape_text(output.shape.as_deref()), shape_text(Some(with)));
    Err(format!("'{}' is {found}; expected {expected}, as '{input}' is", output.name))
}

/// True if a declared shape can be the shape `with`. A shape that is not declared and free dimensions can be anything.
fn agrees(value: &ValueInfo, with: &[Option<i64>]) -> bool {
    let same = |(a, b): (&Option<i64>, &Option<i64>)| a.is_none() || b.is_none() || a == b;
    value.shape.as_deref().is_none_or(|shape| shape.len() == with.len() && shape.iter().zip(with).all(same))
}

/// Checks the inputs and outputs of a graph against the contract.
fn contract(inputs: &[ValueInfo], outputs: &[ValueInfo]) -> Result<Contract, String> {
    let expected = "batch x frames, with a batch that is free or 1";
    let audio = find(inputs, AUDIO, "input")?;
    let audio_dims = dims(audio, Some(2), expected)?;
    let batched = match audio_dims[0] {
        None => true,
        Some(1) => false,
        Some(_) => return Err(format!("'{AUDIO}' is {}; expected {expected}", shape_text(Some(audio_dims)))),
    };
    let frames = audio_dims[1].and_then(|n| usize::try_from(n).ok());
    if let Some(frames) = frames.filter(|n| *n > MAX_FRAMES) {
        return Err(format!("'{AUDIO}' is {frames} frames long; expected a free number or at most {MAX_FRAMES}"));
    }
    let output = find(outputs, OUTPUT, "output")?;
    check_output(output, AUDIO, audio_dims)?;

    let mut knobs = 0;
    let mut states = Vec::new();
    let mut size = 0;
    for input in inputs.iter().filter(|i| i.name != AUDIO) {
        if input.name == KNOBS {
            let expected = format!("batch x knobs, with 1 to {MAX_KNOBS} knobs");
            let dims = dims(input, Some(2), &expected)?;
            let count = dims[1].and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_KNOBS);
            knobs = count
                .filter(|_| dims[0] == audio_dims[0])
                .ok_or_else(|| format!("'{KNOBS}' is {}; expected {expected}", shape_text(Some(dims))))?;
        } else if input.name.starts_with(STATE_PREFIX) {
            let state = state(input, outputs, batched)?;
            size += state.len();
            if size > MAX_STATE_VALUES {
                return Err(format!("the states have {size} values and more for a channel; expected at most {MAX_STATE_VALUES}"));
            }
            states.push(state);
        } else {
            let found = &input.name;
            return Err(format!(
                "an input is named '{found}'; expected '{AUDIO}', '{KNOBS}' or a name that begins with '{STATE_PREFIX}'"
            ));
        }
    }
    let spare = outputs.iter().find(|o| o.name != OUTPUT && !states.iter().any(|s| s.output == o.name));
    if let Some(spare) = spare {
        let found = &spare.name;
        return Err(format!(
            "an output is named '{found}'; expected '{OUTPUT}' or the name of a state with '{STATE_OUTPUT_SUFFIX}' behind it"
        ));
    }
    Ok(Contract { batched, frames, knobs, states })
}

/// Checks a state tensor against the contract, and finds its output.
fn state(input: &ValueInfo, outputs: &[ValueInfo], batched: bool) -> Result<StateTensor, String> {
    let name = &input.name;
    let expected = if batched { "one free dimension, the batch" } else { "no free dimension, as the batch is 1" };
    let found = dims(input, None, expected)?;
    let free: Vec<usize> = (0..found.len()).filter(|d| found[*d].is_none()).collect();
    if free.len() != usize::from(batched) {
        return Err(format!("'{name}' is {}; expected {expected}", shape_text(Some(found))));
    }
    // The batch is 1 here.
    let shape: Option<Vec<usize>> = found.iter().map(|n| n.map_or(Some(1), |n| usize::try_from(n).ok())).collect();
    let count = |shape: &Vec<usize>| shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n));
    let shape = shape.filter(|shape| count(shape).is_some_and(|n| n <= MAX_STATE_VALUES));
    let Some(shape) = shape else {
        return Err(format!("'{name}' is {}; expected at most {MAX_STATE_VALUES} values", shape_text(Some(found))));
    };
    let after = find(outputs, &format!("{name}{STATE_OUTPUT_SUFFIX}"), "output")?;
    check_output(after, name, found)?;
    Ok(StateTensor { input: name.clone(), output: after.name.clone(), shape, batch: free.first().copied() })
}
