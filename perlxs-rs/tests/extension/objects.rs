//! Objects that own a Rust value.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};

use perlxs::{Call, Error, Object, Result, Value};

use crate::{Counted, code};

/// What most of these objects own.
struct Counter {
    count: Cell<i64>,
    _counted: Counted,
}

/// `attached($sv, $what)`: hangs a counter on it, `new`, or another type, `other`; counts, `add`.
pub fn attached(call: &Call<'_>) -> Result<Value> {
    let sv = call.arg(0);
    match call.arg(1).pv()?.as_str() {
        "new" => sv.attach(Counter {
            count: Cell::new(0),
            _counted: Counted::new(),
        })?,
        "other" => sv.attach(Other)?,
        "bad" => sv.attach(Bad(Counted::new()))?,
        "has other" => return Ok(sv.attached::<Other>().is_some().into()),
        _ => {
            let Some(counter) = sv.attached::<Counter>() else {
                return Ok(Value::Undef);
            };
            counter.count.set(counter.count.get() + 1);
            if let Some(code) = call.get(2) {
                code.code()?
                    .ok_or_else(|| Error::croak("no code"))?
                    .call(&[])?;
            }
            return Ok(counter.count.get().into());
        }
    }
    Ok(().into())
}

/// Another type.
struct Other;

/// A value whose drop panics.
struct Bad(Counted);

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("bad drop");
    }
}

/// A value whose drop gets a signal.
struct Raises(Counted);

impl Drop for Raises {
    fn drop(&mut self) {
        // SAFETY: a signal to this thread.
        unsafe { libc::raise(libc::SIGUSR1) };
    }
}

/// A value that calls perl when it is dropped.
struct Calls(Counted);

thread_local! {
    static LAST_WORDS: RefCell<Option<perlxs::Code>> = const { RefCell::new(None) };
}

impl Drop for Calls {
    fn drop(&mut self) {
        let code = LAST_WORDS.with(|code| code.borrow_mut().take());
        if let Some(code) = code {
            let _ = code.call(&[]);
        }
    }
}

/// `CLASS->new($type, $count)`
pub fn new(call: &Call<'_>) -> Result<Value> {
    let (perl, class) = (call.perl(), call.arg(0));
    let kind = call.get(1).map_or(Ok(None), |sv| sv.text())?;
    Ok(match kind.as_deref() {
        None => {
            let count = call.get(2).map_or(Ok(None), |sv| sv.number().map(Some))?;
            let count = count.and_then(|n| n.integer()).unwrap_or(0) as i64;
            let counter = Counter {
                count: Cell::new(count),
                _counted: Counted::new(),
            };
            (&Object::new(perl, class, counter)?).into()
        }
        Some("other") => (&Object::new(perl, class, Other)?).into(),
        Some("bad") => (&Object::new(perl, class, Bad(Counted::new()))?).into(),
        Some("raises") => (&Object::new(perl, class, Raises(Counted::new()))?).into(),
        Some("calls") => {
            let last_words = code(call, 2)?;
            LAST_WORDS.with(|code| code.replace(Some(last_words)));
            (&Object::new(perl, class, Calls(Counted::new()))?).into()
        }
        Some(other) => return Err(Error::croak(format!("no type {other}"))),
    })
}

/// `$counter->add($n)`: the sum.
pub fn add(call: &Call<'_>) -> Result<Value> {
    let counter = call.arg(0).object::<Counter>()?;
    let n = call.arg(1).number()?.integer().unwrap_or(1) as i64;
    counter.count.set(counter.count.get() + n);
    Ok(counter.count.get().into())
}

/// `$counter->with($code)`: calls the code while it looks at the value; returns the sum after that.
pub fn with(call: &Call<'_>) -> Result<Value> {
    let counter = call.arg(0).object::<Counter>()?;
    let count = &counter.count;
    code(call, 1)?.call(&[])?;
    count.set(count.get() + 1);
    Ok(count.get().into())
}

/// `$counter->me`: the object, made anew from the value.
pub fn me(call: &Call<'_>) -> Result<Value> {
    let counter = call.arg(0).object::<Counter>()?;
    Ok((&counter.clone()).into())
}
