//! Arrays, hashes, references, and calls that return lists.

use std::cell::RefCell;
use std::ffi::CString;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

use perlxs::{Array, Call, Error, Hash, Queue, Remote, Result, Scalar, Value};

use crate::{Counted, code};

fn array(call: &Call<'_>) -> Result<Array> {
    let sv = call.arg(0);
    sv.array()?
        .ok_or_else(|| Error::croak(format!("not an array: {}", sv.describe())))
}

fn hash(call: &Call<'_>) -> Result<Hash> {
    let sv = call.arg(0);
    sv.hash()?
        .ok_or_else(|| Error::croak(format!("not a hash: {}", sv.describe())))
}

fn index(call: &Call<'_>) -> Result<usize> {
    let index = call.arg(1).number()?.integer();
    Ok(index.and_then(|i| i.try_into().ok()).unwrap_or(usize::MAX))
}

/// One value, or an empty list.
fn some(value: Option<Scalar>) -> Value {
    Value::list(value)
}

/// `array($ref, $function, ...)`
pub fn array_do(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let array = array(call)?;
    let function = call.arg(2).text()?.unwrap_or_default();
    Ok(match function.as_str() {
        "len" => array.len()?.into(),
        "is_empty" => array.is_empty()?.into(),
        "get" => some(array.get(index(call)?)?),
        "set" => array.set(index(call)?, call.arg(3))?.into(),
        "push" => {
            for value in call.args().skip(3) {
                array.push(value)?;
            }
            Value::Undef
        }
        "pop" => some(array.pop()?),
        "shift" => some(array.shift()?),
        "unshift" => array.unshift(call.arg(3))?.into(),
        "exists" => array.exists(index(call)?)?.into(),
        "delete" => some(array.delete(index(call)?)?),
        "splice" => {
            let len = call.arg(3).number()?.integer().unwrap_or(0) as usize;
            Value::list(array.splice(index(call)?, len, call.args().skip(4))?)
        }
        "clear" => array.clear()?.into(),
        "elements" => Value::list(array.elements()?),
        "reference" => (&array).into(),
        other => return Err(Error::croak(format!("no function {other}"))),
    })
}

/// `hash($ref, $key, $function, $value)`
pub fn hash_do(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let hash = hash(call)?;
    let key = call.arg(1);
    let function = call.arg(2).text()?.unwrap_or_default();
    Ok(match function.as_str() {
        "get" => some(hash.get(key)?),
        "set" => hash.set(key, call.arg(3))?.into(),
        "contains" => hash.contains(key)?.into(),
        "len" => hash.len()?.into(),
        "delete" => some(hash.delete(key)?),
        "clear" => hash.clear()?.into(),
        "keys" => Value::list(hash.keys()?),
        "entries" => pairs(hash.entries()?),
        "reference" => (&hash).into(),
        // by what Rust has, not by the caller's scalar
        "get text" => some(hash.get(key.text()?.unwrap_or_default())?),
        "get bytes" => some(hash.get(key.bytes()?.unwrap_or_default())?),
        "get int" => some(hash.get(key.number()?.integer().unwrap_or(0) as i64)?),
        other => return Err(Error::croak(format!("no function {other}"))),
    })
}

fn pairs(entries: Vec<(String, Scalar)>) -> Value {
    let pairs = entries.into_iter();
    Value::List(pairs.flat_map(|(k, v)| [k.into(), v.into()]).collect())
}

/// `named($name, $sigil)`: a reference to what has this name, or undef.
pub fn named(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let name = CString::new(call.arg(0).text()?.unwrap_or_default()).unwrap_or_default();
    let perl = call.perl();
    Ok(match call.arg(1).text()?.unwrap_or_default().as_str() {
        "@" => (&perl.array(&name)?).into(),
        "%" => (&perl.hash(&name)?).into(),
        "&" => match perl.code(&name)? {
            Some(code) => code.call(&[])?.into(),
            None => Value::Undef,
        },
        _ => perl.variable(&name)?.reference().into(),
    })
}

/// `eval_text($text)`
pub fn eval_text(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let text = call.arg(0).text()?.unwrap_or_default();
    Ok(call.perl().eval(&text)?.into())
}

/// `warns($text, $category)`
pub fn warns(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let text = call.arg(0).text()?.unwrap_or_default();
    match call.get(1) {
        Some(category) => {
            let category = category.text()?.unwrap_or_default();
            let category = CString::new(category).unwrap_or_default();
            call.perl().warn_if(&category, &text)?;
        }
        None => call.perl().warn(&text)?,
    }
    Ok(().into())
}

/// `blessed_into($ref, $class)`
pub fn blessed_into(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    call.arg(0).bless(call.arg(1))?;
    Ok(call.arg(0).into())
}

/// `weakened($ref)`: whether it was weak before, and is afterwards.
pub fn weakened(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let sv = call.arg(0);
    let before = sv.is_weak()?;
    sv.weaken()?;
    Ok(Value::list([before, sv.is_weak()?]))
}

thread_local! {
    static QUEUE: RefCell<Option<(Remote, Queue)>> = const { RefCell::new(None) };
}

/// `queue(@jobs)`: a new queue; a thread sends these to it: numbers, which go into
/// `@PerlXS::Test::queued`, `die`, `panic`. Returns the descriptor.
pub fn queue(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let jobs: Result<Vec<_>> = call.args().map(|arg| arg.pv()).collect();
    let jobs = jobs?;
    let (remote, queue) = Queue::new()?;
    let fd = queue.as_raw_fd();
    let sender = remote.clone();
    let thread = std::thread::spawn(move || {
        (jobs.into_iter()).all(|job| {
            sender.send(move |perl| match job.as_str() {
                "die" => Err(Error::croak("a job\n")),
                "panic" => panic!("a job"),
                _ => perl.array(c"PerlXS::Test::queued")?.push(job),
            })
        })
    });
    assert!(thread.join().expect("a thread"), "there is a queue");
    QUEUE.with(|place| place.replace(Some((remote, queue))));
    Ok(fd.into())
}

/// `drain()`: how many have been run.
pub fn drain(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    QUEUE.with(|place| match &*place.borrow() {
        Some((_, queue)) => Ok(queue.drain(call.perl())?.into()),
        None => Err(Error::croak("no queue")),
    })
}

/// `drop_queue()`: whether what is sent afterwards is refused.
pub fn drop_queue(_: &Call<'_>) -> Result<Value> {
    let queue = QUEUE.with(|place| place.take());
    let (remote, queue) = queue.ok_or_else(|| Error::croak("no queue"))?;
    drop(queue);
    Ok((!remote.send(|_| Ok(()))).into())
}

/// `new_array(@values)`
pub fn new_array(call: &Call<'_>) -> Result<Value> {
    Ok((&Array::of(call.perl(), call.args())).into())
}

/// `new_hash(%entries)`
pub fn new_hash(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let args: Vec<_> = call.args().collect();
    let mut entries = Vec::new();
    for pair in args.chunks_exact(2) {
        entries.push((pair[0].text()?.unwrap_or_default(), &pair[1]));
    }
    Ok((&Hash::of(call.perl(), entries)).into())
}

/// `nested()`: arrays and hashes in each other.
pub fn nested(call: &Call<'_>) -> Result<Value> {
    let perl = call.perl();
    let list = Array::new(perl);
    for i in 1..=2 {
        let entry = Hash::new(perl);
        entry.set("n", i)?;
        entry.set("list", Array::of(perl, vec![i; 2]))?;
        list.push(&entry)?;
    }
    let answer = Hash::of(
        perl,
        [
            ("list", Value::from(&list)),
            ("true", true.into()),
            ("none", None::<i32>.into()),
            ("bytes", [0xe9u8, 0][..].into()),
        ],
    );
    answer.set("self", Value::from("text"))?;
    Ok((&answer).into())
}

pub fn elements(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(match call.arg(0).elements()? {
        Some(elements) => Value::list(elements),
        None => "none".into(),
    })
}

pub fn entries(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(match call.arg(0).entries()? {
        Some(entries) => pairs(entries),
        None => "none".into(),
    })
}

/// `referent($ref, $value)`: sets what the reference refers to.
pub fn referent(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    match call.arg(0).referent() {
        Some(sv) => sv.set(call.arg(1))?,
        None => return Ok(false.into()),
    }
    Ok(true.into())
}

/// `deref($ref)`: the scalar that it refers to, or an empty list.
pub fn deref(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(some(call.arg(0).scalar()?))
}

pub fn reference(call: &Call<'_>) -> Result<Value> {
    Ok(call.arg(0).reference().into())
}

/// `ask($sv)`: what it refers to, its class, whether it is defined, and true.
pub fn ask(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let sv = call.arg(0);
    Ok(Value::List(vec![
        sv.kind()?.map(|kind| format!("{kind:?}")).into(),
        sv.class()?.into(),
        sv.is_defined()?.into(),
        sv.is_true()?.into(),
    ]))
}

/// `call_list($code, @args)`
pub fn call_list(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let args: Vec<_> = call.args().skip(1).map(|arg| arg.clone()).collect();
    Ok(Value::list(code(call, 0)?.call_list(&args)?))
}

/// `method($invocant, $name, @args)`: in the caller's context.
pub fn method(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let name = call.arg(1).text()?.unwrap_or_default();
    let args: Vec<_> = call.args().skip(2).map(|arg| arg.clone()).collect();
    let invocant = call.arg(0);
    Ok(match call.context() {
        perlxs::Context::List => Value::list(invocant.call_method_list(&name, &args)?),
        _ => invocant.call_method(&name, &args)?.into(),
    })
}

/// `coderef($code)`: a reference to the code that this is.
pub fn coderef(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok((&code(call, 0)?).into())
}

/// `optional($first, $second = 'default', @rest)`
pub fn optional(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let second = match call.get(1) {
        Some(sv) => sv.text()?.unwrap_or_else(|| "undef".into()),
        None => "default".into(),
    };
    let rest: Vec<_> = call
        .args()
        .skip(2)
        .map(|sv| sv.text())
        .collect::<Result<_>>()?;
    let rest: Vec<_> = rest.into_iter().flatten().collect();
    Ok(format!("{second} [{}] of {}", rest.join(" "), call.args().len()).into())
}

/// `numbers(\@array, $code)`: the integers of it; the code is called for each.
pub fn numbers(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let array = array(call)?;
    let code = call.arg(1).code()?;
    let mut numbers = Vec::new();
    for number in array.numbers() {
        numbers.push(Value::from(number?.integer().map(|n| n as i64)));
        if let Some(code) = &code {
            code.call(&[])?;
        }
    }
    Ok(Value::List(numbers))
}

/// `each_element(\@array, $code)`: the code is called with each element.
pub fn each_element(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let array = array(call)?;
    let code = code(call, 1)?;
    let mut results = Vec::new();
    for element in array.iter() {
        results.push(code.call(&[element?])?);
    }
    Ok(Value::list(results))
}

/// `walk(\%hash, $code)`: keys and values in turn; the code is called for each.
pub fn walk(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let hash = hash(call)?;
    let code = match call.get(1) {
        Some(code) => code.code()?,
        None => None,
    };
    let mut list = Vec::new();
    let mut entries = hash.iter();
    while let Some((key, value)) = entries.next()? {
        list.push(Value::from(&*key.text()));
        list.push(value.into());
        if let Some(code) = &code {
            code.call(&[])?;
        }
    }
    Ok(Value::List(list))
}

/// `walk_on(\%hash)`: the keys; goes on after an error, so far as there is more.
pub fn walk_on(call: &Call<'_>) -> Result<Value> {
    let hash = hash(call)?;
    let mut list = Vec::new();
    let mut entries = hash.iter();
    loop {
        match entries.next() {
            Ok(Some((key, _))) => list.push(Value::from(&*key.text())),
            Ok(None) => return Ok(Value::List(list)),
            Err(_) => list.push("error".into()),
        }
    }
}

/// `seen_each($code, $see, @values)`: what the first returns for each, read after the second has
/// been called.
pub fn seen_each(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let (code, see) = (code(call, 0)?, code(call, 1)?);
    let mut results = Vec::new();
    let failed = code.call_each(call.args().skip(2), |_, result| {
        match see.call(&[]).and_then(|_| result.text()) {
            Ok(text) => results.push(Value::from(text)),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(Value::List(results)), Err)
}

/// `test_each($code, @values)`: those for which it is true.
pub fn test_each(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let code = code(call, 0)?;
    let mut found = Vec::new();
    code.test_each(call.args().skip(1), |value, is_true| {
        if is_true {
            found.push(Value::from(value));
        }
        ControlFlow::<()>::Continue(())
    })?;
    Ok(Value::List(found))
}

/// `map_each($code, $last, @values)`: what it returns, up to that.
pub fn map_each(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let code = code(call, 0)?;
    let last = call.arg(1).text()?;
    let mut results = Vec::new();
    let end = code.call_each(call.args().skip(2), |_, result| {
        let copy = match result.copy() {
            Ok(copy) => copy,
            Err(error) => return ControlFlow::Break(Err(error)),
        };
        let text = copy.text();
        results.push(copy);
        match text {
            Ok(text) if text == last => ControlFlow::Break(Ok(())),
            Ok(text) if text.as_deref() == Some("panic") => panic!("in a loop"),
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    })?;
    end.unwrap_or(Ok(()))?;
    Ok(Value::list(results))
}

/// `reduce($code, @values)`
pub fn reduce(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(code(call, 0)?.reduce(call.args().skip(1))?.into())
}

/// `borrowed($string, $how, $other, $code)`: the string, borrowed as bytes or as text, after the
/// other has been assigned to it, and the code has been called.
pub fn borrowed(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let (string, other, code) = (call.arg(0), call.arg(2), code(call, 3)?);
    if call.arg(1).text()?.as_deref() == Some("forgotten") {
        std::mem::forget(string.borrow_bytes()?);
        return Ok(().into());
    }
    let text = call.arg(1).text()?.as_deref() == Some("text");
    let bytes = match text {
        true => None,
        false => string.borrow_bytes()?,
    };
    let text = match text {
        true => string.borrow_text()?,
        false => None,
    };
    if !other.is_undef_constant() {
        string.set(&other)?;
    }
    code.call(&[])?;
    Ok(match (bytes, text) {
        (Some(bytes), _) => bytes.to_vec().into(),
        (_, Some(text)) => text.to_string().into(),
        _ => Value::Undef,
    })
}

/// `with_each($code, @values)`: what it returns for each as an argument.
pub fn with_each(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let code = code(call, 0)?;
    let mut results = Vec::new();
    let failed = code.call_with_each(call.args().skip(1), |_, result| match result.copy() {
        Ok(copy) => {
            results.push(copy);
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    })?;
    failed.map_or(Ok(Value::list(results)), Err)
}
