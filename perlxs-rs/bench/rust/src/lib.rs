//! What `calls.pl` compares with C: the functions of `cxs/Twin.xs` under the same names, as an
//! author writes them with perlxs.

#![deny(unsafe_code)]

use std::cell::Cell;
use std::ops::ControlFlow;

use perlxs::{
    Array, Call, Code, Error, Form, Hash, Module, Number, Object, Perl, Result, Scalar, Value, Xsub,
};

fn integer(sv: &Scalar) -> Result<i64> {
    match sv.number()? {
        Number::Int(integer) => Ok(integer),
        other => other_integer(sv, other),
    }
}

#[cold]
fn other_integer(sv: &Scalar, number: Number) -> Result<i64> {
    let integer = number.integer().and_then(|n| i64::try_from(n).ok());
    integer.ok_or_else(|| Error::croak(format!("an integer is needed, not {}", sv.describe())))
}

fn code(sv: &Scalar) -> Result<Code> {
    let code = sv.code()?;
    code.ok_or_else(|| Error::croak(format!("code is needed, not {}", sv.describe())))
}

// ---- values in and out ----

/// `nothing()`
fn nothing(_: &Call<'_>) -> Result<Value> {
    Ok(().into())
}

/// `successor($n)`
fn successor(call: &Call<'_>) -> Result<Value> {
    Ok(integer(&call.arg(0))?.wrapping_add(1).into())
}

/// `half($n)`
fn half(call: &Call<'_>) -> Result<Value> {
    let n = match call.arg(0).number()? {
        Number::Float(f) => f,
        Number::Int(i) => i as f64,
        Number::Uint(u) => u as f64,
        Number::Undef | Number::NotANumber => return Err(Error::croak("half needs a number")),
    };
    Ok((n / 2.0).into())
}

/// `echo($bytes)`
fn echo(call: &Call<'_>) -> Result<Value> {
    let bytes = call.arg(0);
    let bytes = bytes.borrow_bytes()?;
    Ok(bytes.map(|bytes| bytes.to_vec()).into())
}

/// `size($bytes)`
fn size(call: &Call<'_>) -> Result<Value> {
    Ok(call.arg(0).borrow_bytes()?.map(|bytes| bytes.len()).into())
}

// ---- an object with a value of Rust's ----

struct Counter {
    count: Cell<i64>,
}

/// `Rust::Twin::Counter->new($count)`
fn new(call: &Call<'_>) -> Result<Value> {
    let count = Cell::new(integer(&call.arg(1))?);
    Ok((&Object::new(call.perl(), call.arg(0), Counter { count })?).into())
}

/// `$counter->increment`
fn increment(call: &Call<'_>) -> Result<Value> {
    let counter = call.arg(0).object::<Counter>()?;
    counter.count.set(counter.count.get() + 1);
    Ok(counter.count.get().into())
}

// ---- calling perl ----

/// `call_times($code, $times)`: the sum of what it returns for 0, 1 and so on.
fn call_times(call: &Call<'_>) -> Result<Value> {
    let code = code(&call.arg(0))?;
    let numbers = (0..integer(&call.arg(1))?).map(|i| Scalar::new(call.perl(), i));
    let mut sum = 0;
    let failed = code.call_with_each(numbers, |_, result| match integer(result) {
        Ok(integer) => {
            sum += integer;
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    })?;
    failed.map_or(Ok(sum.into()), Err)
}

/// `firstidx { ... } @list`: the index of the first element for which the block is true, or -1.
fn firstidx(call: &Call<'_>) -> Result<Value> {
    let block = code(&call.arg(0))?;
    let mut i = -1;
    let found = block.test_each(call.args().skip(1), |_, is_true| {
        i += 1;
        match is_true {
            true => ControlFlow::Break(i),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(found.unwrap_or(-1).into())
}

// ---- arrays and hashes ----

/// `sum(\@integers)`
fn sum(call: &Call<'_>) -> Result<Value> {
    let array = call.arg(0).array()?;
    let array = array.ok_or_else(|| Error::croak("sum needs an array"))?;
    let mut sum = 0;
    for (i, number) in array.numbers().enumerate() {
        sum += match number? {
            Number::Int(integer) => integer,
            other => match array.get(i)? {
                Some(element) => other_integer(&element, other)?,
                None => 0,
            },
        };
    }
    Ok(sum.into())
}

/// `array($length)`: its indices.
fn array(call: &Call<'_>) -> Result<Value> {
    let length = integer(&call.arg(0))?;
    Ok((&Array::of(call.perl(), 0..length)).into())
}

/// `hash($length)`: keys of eight digits.
fn hash(call: &Call<'_>) -> Result<Value> {
    let entries = (0..integer(&call.arg(0))?).map(|i| (format!("{i:08x}"), i));
    Ok((&Hash::of(call.perl(), entries)).into())
}

/// `walk(\%hash)`: the sum of the keys' lengths and the values.
fn walk(call: &Call<'_>) -> Result<Value> {
    let hash = call.arg(0).hash()?;
    let hash = hash.ok_or_else(|| Error::croak("walk needs a hash"))?;
    let (mut sum, mut entries) = (0, hash.iter());
    while let Some((key, value)) = entries.next()? {
        sum += key.bytes().len() as i64 + integer(&value)?;
    }
    Ok(sum.into())
}

// ---- pack ----

/// A byte, and the low bytes of `n`, the high ones first.
fn put_tagged(out: &mut Vec<u8>, tag: u8, n: u64, bytes: usize) {
    out.push(tag);
    out.extend_from_slice(&n.to_be_bytes()[8 - bytes..]);
}

fn put_len(out: &mut Vec<u8>, fix: u8, tag16: u8, len: usize) {
    match len {
        0..16 => out.push(fix | len as u8),
        16..0x1_0000 => put_tagged(out, tag16, len as u64, 2),
        _ => put_tagged(out, tag16 + 1, len as u64, 4),
    }
}

fn put_uint(out: &mut Vec<u8>, n: u64) {
    match n {
        0..0x80 => out.push(n as u8),
        0x80..0x100 => put_tagged(out, 0xcc, n, 1),
        0x100..0x1_0000 => put_tagged(out, 0xcd, n, 2),
        0x1_0000..0x1_0000_0000 => put_tagged(out, 0xce, n, 4),
        _ => put_tagged(out, 0xcf, n, 8),
    }
}

fn put_int(out: &mut Vec<u8>, n: i64) {
    match n {
        0.. => put_uint(out, n as u64),
        -0x20..0 => out.push(n as u8),
        -0x80..-0x20 => put_tagged(out, 0xd0, n as u64, 1),
        -0x8000..-0x80 => put_tagged(out, 0xd1, n as u64, 2),
        -0x8000_0000..-0x8000 => put_tagged(out, 0xd2, n as u64, 4),
        _ => put_tagged(out, 0xd3, n as u64, 8),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len() as u64;
    match len {
        0..0x100 => put_tagged(out, 0xc4, len, 1),
        0x100..0x1_0000 => put_tagged(out, 0xc5, len, 2),
        _ => put_tagged(out, 0xc6, len, 4),
    }
    out.extend_from_slice(bytes);
}

fn encode(out: &mut Vec<u8>, sv: &Scalar) -> Result<()> {
    match sv.form()? {
        Form::Undef => out.push(0xc0),
        Form::Int(i) => put_int(out, i),
        Form::Uint(u) => put_uint(out, u),
        Form::Float(f) => put_tagged(out, 0xcb, f.to_bits(), 8),
        Form::Reference => return encode_reference(out, sv),
        Form::Bool(_) | Form::String | Form::Glob => {
            put_bytes(out, &sv.borrow_bytes()?.ok_or_else(unfit)?);
        }
    }
    Ok(())
}

fn encode_reference(out: &mut Vec<u8>, sv: &Scalar) -> Result<()> {
    if let Some(array) = sv.array()? {
        put_len(out, 0x90, 0xdc, array.len()?);
        for element in array.iter() {
            encode(out, &element?)?;
        }
    } else {
        let hash = sv.hash()?.ok_or_else(unfit)?;
        put_len(out, 0x80, 0xde, hash.len()?);
        let mut entries = hash.iter();
        while let Some((key, value)) = entries.next()? {
            put_bytes(out, key.bytes());
            encode(out, &value)?;
        }
    }
    Ok(())
}

fn unfit() -> Error {
    Error::croak("this cannot be packed")
}

/// `pack($data)`
fn pack(call: &Call<'_>) -> Result<Value> {
    let mut out = Vec::with_capacity(80);
    encode(&mut out, &call.arg(0))?;
    Ok(out.into())
}

// ---- unpack ----

fn broken() -> Error {
    Error::croak("this cannot be unpacked")
}

/// The number that is in so many bytes.
fn take(input: &mut &[u8], bytes: usize) -> Result<u64> {
    let (number, rest) = input.split_at_checked(bytes).ok_or_else(broken)?;
    *input = rest;
    Ok(number.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)))
}

/// The string whose length is in so many bytes.
fn take_bytes<'a>(input: &mut &'a [u8], bytes: usize) -> Result<&'a [u8]> {
    let len = take(input, bytes)?;
    let (string, rest) = input.split_at_checked(len as usize).ok_or_else(broken)?;
    *input = rest;
    Ok(string)
}

fn decode_array(perl: Perl, input: &mut &[u8], len: u64) -> Result<Value> {
    Ok(Array::try_of(perl, (0..len).map(|_| decode(perl, input)))?.into())
}

fn decode_hash(perl: Perl, input: &mut &[u8], len: u64) -> Result<Value> {
    let entry = |_| {
        let key = match take(input, 1)? {
            tag @ 0xc4..=0xc6 => take_bytes(input, 1 << (tag - 0xc4))?,
            _ => return Err(broken()),
        };
        Ok((key, decode(perl, input)?))
    };
    Ok(Hash::try_of(perl, (0..len).map(entry))?.into())
}

fn decode(perl: Perl, input: &mut &[u8]) -> Result<Value> {
    Ok(match take(input, 1)? {
        tag @ 0..0x80 => tag.into(),
        tag @ 0x80..0x90 => decode_hash(perl, input, tag & 0xf)?,
        tag @ 0x90..0xa0 => decode_array(perl, input, tag & 0xf)?,
        0xc0 => ().into(),
        tag @ 0xc4..=0xc6 => take_bytes(input, 1 << (tag - 0xc4))?.into(),
        0xcb => f64::from_bits(take(input, 8)?).into(),
        tag @ 0xcc..=0xcf => take(input, 1 << (tag - 0xcc))?.into(),
        0xd0 => i64::from(take(input, 1)? as i8).into(),
        0xd1 => i64::from(take(input, 2)? as i16).into(),
        0xd2 => i64::from(take(input, 4)? as i32).into(),
        0xd3 => (take(input, 8)? as i64).into(),
        tag @ 0xdc..=0xdd => {
            let len = take(input, 2 << (tag - 0xdc))?;
            decode_array(perl, input, len)?
        }
        tag @ 0xde..=0xdf => {
            let len = take(input, 2 << (tag - 0xde))?;
            decode_hash(perl, input, len)?
        }
        tag @ 0xe0..=0xff => i64::from(tag as i8).into(),
        _ => return Err(broken()),
    })
}

/// `unpack($bytes)`
fn unpack(call: &Call<'_>) -> Result<Value> {
    let bytes = call.arg(0);
    let bytes = bytes.borrow_bytes()?;
    decode(call.perl(), &mut bytes.as_deref().unwrap_or_default())
}

// ---- for Digest::CRC's ----

static CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// `crc32($bytes)`
fn crc32(call: &Call<'_>) -> Result<Value> {
    let bytes = call.arg(0);
    let bytes = bytes.borrow_bytes()?;
    let bytes = bytes.as_deref().unwrap_or_default();
    let crc = bytes.iter().fold(!0, |crc: u32, &byte| {
        (crc >> 8) ^ CRC32[usize::from(crc as u8 ^ byte)]
    });
    Ok((!crc).into())
}

static XSUBS: [Xsub; 16] = [
    Xsub::new(c"Rust::Twin::nothing", c"", 0, Some(0), nothing),
    Xsub::new(c"Rust::Twin::successor", c"n", 1, Some(1), successor),
    Xsub::new(c"Rust::Twin::half", c"n", 1, Some(1), half),
    Xsub::new(c"Rust::Twin::echo", c"bytes", 1, Some(1), echo),
    Xsub::new(c"Rust::Twin::size", c"bytes", 1, Some(1), size),
    Xsub::new(
        c"Rust::Twin::Counter::new",
        c"class, count",
        2,
        Some(2),
        new,
    ),
    Xsub::new(
        c"Rust::Twin::Counter::increment",
        c"self",
        1,
        Some(1),
        increment,
    ),
    Xsub::new(
        c"Rust::Twin::call_times",
        c"code, times",
        2,
        Some(2),
        call_times,
    ),
    Xsub::new(c"Rust::Twin::firstidx", c"code, ...", 1, None, firstidx).prototype(c"&@"),
    Xsub::new(c"Rust::Twin::sum", c"array", 1, Some(1), sum),
    Xsub::new(c"Rust::Twin::array", c"length", 1, Some(1), array),
    Xsub::new(c"Rust::Twin::hash", c"length", 1, Some(1), hash),
    Xsub::new(c"Rust::Twin::walk", c"hash", 1, Some(1), walk),
    Xsub::new(c"Rust::Twin::pack", c"data", 1, Some(1), pack),
    Xsub::new(c"Rust::Twin::unpack", c"bytes", 1, Some(1), unpack),
    Xsub::new(c"Rust::Twin::crc32", c"bytes", 1, Some(1), crc32),
];

fn module() -> Module {
    let xsubs: Vec<_> = XSUBS.iter().collect();
    Module::new(c"Rust::Twin", c"1.00", &xsubs)
}

perlxs::boot!(boot_Rust__Twin, module);
