//! The extension that the tests load: XSUBs that show what Rust sees and keep count of drops.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, Ordering};

use perlxs::{
    Array, Call, Code, Constant, Context, Error, MainEnd, Module, Number, Result, Scalar, Shared,
    Start, Value, Xsub,
};

mod api;
mod border;
mod data;
mod five;
mod objects;
mod typed;

/// In memory that this process shares with its children: what they do until they are gone counts.
struct Counts {
    made: AtomicI64,
    dropped: AtomicI64,
    /// XSUBs that left something on perl's stacks.
    uneven: AtomicI64,
}

fn counts() -> &'static Counts {
    static COUNTS: OnceLock<&'static Counts> = OnceLock::new();
    COUNTS.get_or_init(|| {
        // SAFETY: new memory, all zeros, for good.
        unsafe {
            let (access, kind) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            );
            let counts = libc::mmap(ptr::null_mut(), size_of::<Counts>(), access, kind, -1, 0);
            assert_ne!(counts, libc::MAP_FAILED, "memory for the counts");
            &*counts.cast()
        }
    })
}

/// Something whose drop must neither be skipped nor doubled.
struct Counted(());

impl Counted {
    fn new() -> Self {
        counts().made.fetch_add(1, Ordering::SeqCst);
        Counted(())
    }
}

static REPORTED: AtomicBool = AtomicBool::new(false);

impl Drop for Counted {
    fn drop(&mut self) {
        let dropped = counts().dropped.fetch_add(1, Ordering::SeqCst) + 1;
        if REPORTED.load(Ordering::SeqCst) {
            println!("dropped {dropped}");
        }
    }
}

/// `report_drops()`: from now on each drop is printed; for those that nobody is there to ask for.
fn report_drops(_: &Call<'_>) -> Result<Value> {
    REPORTED.store(true, Ordering::SeqCst);
    Ok(().into())
}

fn dropped(_: &Call<'_>) -> Result<Value> {
    Ok(counts().dropped.load(Ordering::SeqCst).into())
}

fn made(_: &Call<'_>) -> Result<Value> {
    Ok(counts().made.load(Ordering::SeqCst).into())
}

/// `uneven()`: how many calls have left something on perl's stacks, or taken something from them.
fn uneven(_: &Call<'_>) -> Result<Value> {
    Ok(counts().uneven.load(Ordering::SeqCst).into())
}

/// `depths()`: how much is on perl's stacks.
fn depths(call: &Call<'_>) -> Result<Value> {
    Ok(Value::list(call.perl().depths()))
}

/// Each XSUB's body is called from here. After an exit perl's stacks are unwound.
fn watched(call: &Call<'_>, body: perlxs::Body) -> Result<Value> {
    let before = call.perl().depths();
    let result = body(call);
    if !matches!(result, Err(Error::Exit)) && call.perl().depths() != before {
        counts().uneven.fetch_add(1, Ordering::SeqCst);
    }
    result
}

/// `sv_count()`: how many scalars and the like there are.
fn sv_count(call: &Call<'_>) -> Result<Value> {
    Ok(call.perl().sv_count().into())
}

fn number(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(match call.arg(0).number()? {
        Number::Undef => "undef".into(),
        Number::Int(i) => format!("int {i}").into(),
        Number::Uint(u) => format!("uint {u}").into(),
        Number::Float(f) => format!("float {f}").into(),
        Number::NotANumber => "none".into(),
    })
}

fn bytes(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(call.arg(0).bytes()?.map_or(Value::Undef, Value::Bytes))
}

/// `filled($n)`: so many bytes.
fn filled(call: &Call<'_>) -> Result<Value> {
    let n = call.arg(0).number()?.integer().unwrap_or(0);
    Ok(Value::Bytes(vec![b'x'; n as usize]))
}

fn text(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(call.arg(0).text()?.map_or(Value::Undef, Value::Text))
}

fn file_name(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let name = call.arg(0).file_name()?;
    Ok(name.map_or(Value::Undef, Value::Bytes))
}

/// Reads its argument by `how` and hands back a value of the Rust type that `how` names.
fn give(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(match call.arg(0).text()?.as_deref() {
        Some("undef") => ().into(),
        Some("int") => i64::MIN.into(),
        Some("uint") => u64::MAX.into(),
        Some("float") => 0.5.into(),
        Some("bytes") => vec![0, 0xe9, b'x'].into(),
        Some("text") => "\u{e9}\u{20ac}".into(),
        Some("scalar") => call.arg(1).into(),
        other => return Err(Error::croak(format!("no value for {other:?}"))),
    })
}

fn is_true(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(i32::from(call.arg(0).is_true()?).into())
}

/// `variable($value, $name)`: assigns to `$PerlXS::Test::variable`, or to another.
fn variable(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let name = call.get(1).map_or(Ok(None), |sv| sv.text())?;
    let name = name.unwrap_or_else(|| "PerlXS::Test::variable".into());
    let name = std::ffi::CString::new(name).map_err(|e| Error::croak(e.to_string()))?;
    call.perl().variable(&name)?.set(call.arg(0))?;
    Ok(().into())
}

fn load_module(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    call.perl()
        .load_module(&call.arg(0).text()?.unwrap_or_default())?;
    Ok(().into())
}

/// `act($how, @args)`: reads the arguments and acts, if taint mode lets it. How many there were.
fn act(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let how = call.arg(0).text()?.unwrap_or_default();
    for sv in call.args().skip(1) {
        match how.as_str() {
            "number" => drop(sv.number()?),
            "bytes" => drop(sv.bytes()?),
            "text" => drop(sv.text()?),
            "name" => drop(sv.file_name()?),
            "copy" => drop(sv.copy()?),
            "true" => drop(sv.is_true()?),
            "defined" => drop(sv.is_defined()?),
            "code" => drop(sv.code()?),
            "fileno" => drop(sv.fileno()?),
            "assignable" => drop(sv.assignable()?),
            "elements" => {
                for element in sv.elements()?.unwrap_or_default() {
                    element.text()?;
                }
            }
            "entries" => {
                for (_, value) in sv.entries()?.unwrap_or_default() {
                    value.text()?;
                }
            }
            _ => {}
        }
    }
    call.perl().taint_proper(c"act")?;
    Ok((call.len() - 1).into())
}

/// `trust_env()`
fn trust_env(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    call.perl().taint_env()?;
    Ok(1.into())
}

fn set(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    call.arg(0).set(call.arg(1))?;
    Ok(().into())
}

fn describe(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(call.arg(0).describe().into())
}

fn flags(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let sv = call.arg(0);
    let words = [
        (!sv.assignable()?, "readonly"),
        (sv.is_undef_constant(), "undef"),
    ];
    let words: Vec<_> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
    Ok(words.join(" ").into())
}

fn fileno(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(call.arg(0).fileno()?.map_or(Value::Undef, Value::from))
}

fn copy(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(call.arg(0).copy()?.into())
}

/// `list(@values)`: them.
fn list(call: &Call<'_>) -> Result<Value> {
    Ok(Value::List(
        args(call, 0).into_iter().map(Value::from).collect(),
    ))
}

fn context(call: &Call<'_>) -> Result<Value> {
    let context = format!("{:?}", call.context());
    if call.context() == Context::Void {
        call.arg(0).set(context.as_str())?;
    }
    Ok(context.into())
}

fn signal_number(call: &Call<'_>) -> Result<Value> {
    let name = call.arg(0).text()?.unwrap_or_default();
    Ok(call
        .perl()
        .signal_number(&name)
        .map_or(Value::Undef, Value::from))
}

/// `sleeping_read($fd)`: the number of bytes that one byte's read(2) has read, or minus errno.
fn sleeping_read(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let fd = call.arg(0).number()?.integer().unwrap_or(-1) as i64;
    let mut byte = 0u8;
    // SAFETY: a place for one byte, which nobody else knows.
    let outcome = unsafe {
        let address = (&raw mut byte).addr() as libc::c_long;
        call.syscall(libc::SYS_read, [fd as libc::c_long, address, 1, 0, 0, 0])?
    };
    Ok(match outcome {
        Ok(read) => read.into(),
        Err(errno) => (-errno).into(),
    })
}

fn code(call: &Call<'_>, i: usize) -> Result<Code> {
    let sv = call.arg(i);
    sv.code()?
        .ok_or_else(|| Error::croak(format!("not code: {}", sv.describe())))
}

fn args(call: &Call<'_>, from: usize) -> Vec<Scalar> {
    call.args().skip(from).map(|arg| arg.clone()).collect()
}

/// `call($code, @args)`: what it returns; what it throws goes on.
fn call(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(code(call, 0)?.call(&args(call, 1))?.into())
}

/// `catch($code, @args)`: undef, or the exception.
fn catch(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    match code(call, 0)?.call(&args(call, 1)) {
        Ok(_) => Ok(().into()),
        Err(Error::Exception(e)) => Ok(e.into()),
        Err(e) => Err(e),
    }
}

/// `deaf($code, $other)`: calls both whatever happens, and returns as if all were well.
fn deaf(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let first = code(call, 0)?.call(&[]);
    let second = code(call, 1).and_then(|c| c.call(&[]));
    Ok(format!("{} {}", first.is_ok(), second.is_ok()).into())
}

/// `late($code, $sv)`: calls the code, then reads the argument beside it.
fn late(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let sv = call.arg(1);
    code(call, 0)?.call(&[])?;
    Ok(sv.text()?.map_or(Value::Undef, Value::Text))
}

fn panics(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    match call.arg(0).text()? {
        Some(text) => panic!("{text}"),
        None => std::panic::panic_any(17),
    }
}

fn croaks(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Err(Error::croak(call.arg(0).text()?.unwrap_or_default()))
}

/// `raise($signal, ...)`: a signal for this thread, in Rust.
fn raise(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let name = call.arg(0).text()?.unwrap_or_default();
    let signal = call.perl().signal_number(&name).unwrap_or(0);
    // SAFETY: a signal to this thread.
    unsafe { libc::raise(signal) };
    Ok(().into())
}

fn flush_all(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    call.perl().flush_all()?;
    Ok(().into())
}

/// `in_child($code, $variable)`: the exit status, as in `$?`, of a new process that runs the code
/// after it has assigned its id to the variable.
fn in_child(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let code = code(call, 0)?;
    let variable = call.get(1);
    call.perl().flush_all()?;
    call.block_signals();
    let pid = call.perl().with_fork_locks(|| {
        // SAFETY: the child does not return; fork(3) would take the locks itself.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            let start = Start {
                assign: variable.as_deref().map(|sv| (sv, 1)),
                ..Start::default()
            };
            // SAFETY: a copy, made under the locks, that ends here.
            match unsafe { call.run_main(&code, start) } {
                // SAFETY: nothing of perl is to run any more.
                MainEnd::Returned(status) => unsafe { libc::_exit(status) },
                // SAFETY: as above.
                MainEnd::Exited(status) => unsafe { libc::exit(status) },
            }
        }
        pid as libc::pid_t
    });
    let mut status = 0;
    // SAFETY: a place for the status.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    Ok(status.into())
}

fn count(call: &Call<'_>) -> Result<Value> {
    Ok((call.len() as u64).into())
}

/// A guest in the interpreter, as a process that shares the memory would be; but it is a context
/// of this process (makecontext(3)), so that tools which watch the memory see all of it.
struct Guest<'a> {
    shared: &'a Shared<'a, 'a>,
    code: &'a Code,
    limit: *const u8,
    status: c_int,
    home: MaybeUninit<libc::ucontext_t>,
    host: *mut Guest<'static>,
}

static GUEST: AtomicPtr<Guest<'static>> = AtomicPtr::new(ptr::null_mut());

extern "C" fn guest_main() {
    // SAFETY: `guest` has set it, and its frame waits.
    unsafe {
        let guest = GUEST.load(Ordering::SeqCst);
        (*guest).status =
            (*guest)
                .shared
                .run((*guest).code, Start::default(), true, (*guest).limit.cast());
    }
}

/// `guest($code)`: the exit status of a guest that runs the code, -1 if it is stopped.
fn guest(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let code = code(call, 0)?;
    // so large that two of them are far apart: valgrind takes a small step for a growing stack
    let mut stack = vec![0u8; 16 << 20];
    let status = call.share(true, |shared| {
        let mut guest = Guest {
            shared,
            code: &code,
            limit: stack[64 << 10..].as_ptr(),
            status: -1,
            home: MaybeUninit::uninit(),
            host: GUEST.load(Ordering::SeqCst),
        };
        let mut there = MaybeUninit::<libc::ucontext_t>::uninit();
        GUEST.store((&raw mut guest).cast(), Ordering::SeqCst);
        // SAFETY: contexts that live in this frame, a stack that outlives them.
        unsafe {
            libc::getcontext(there.as_mut_ptr());
            let context = there.as_mut_ptr();
            (*context).uc_stack.ss_sp = stack.as_mut_ptr().cast();
            (*context).uc_stack.ss_size = stack.len();
            (*context).uc_link = guest.home.as_mut_ptr();
            libc::makecontext(context, guest_main, 0);
            libc::swapcontext(guest.home.as_mut_ptr(), context);
        }
        GUEST.store(guest.host, Ordering::SeqCst);
        guest.status
    })?;
    Ok(status.into())
}

/// `shares($n)`: lends the interpreter, and takes it back, `$n` times.
fn shares(call: &Call<'_>) -> Result<Value> {
    for _ in 0..call.arg(0).number()?.integer().unwrap_or(0) {
        call.share(false, |_| ())?;
    }
    Ok(().into())
}

/// `stop()`: leaves the guest where it is, as exec and SIGKILL do.
fn stop(_: &Call<'_>) -> Result<Value> {
    // SAFETY: the frame that waits there; nothing here needs to be dropped.
    unsafe {
        libc::setcontext((*GUEST.load(Ordering::SeqCst)).home.as_ptr());
    }
    Ok(().into())
}

macro_rules! xsubs {
    ($($static:ident $name:literal ($params:literal, $min:expr, $max:expr) $body:path;)*) => {
        $(static $static: Xsub = Xsub::new($name, $params, $min, $max, |call| {
            watched(call, $body)
        });)*
        // by itself, since it never comes back to give up what it holds
        static STOP: Xsub = Xsub::new(c"PerlXS::Test::stop", c"", 0, Some(0), stop);
        static XSUBS: &[&Xsub] = &[&STOP, $(&$static),*];
    };
}

xsubs! {
    DROPS c"PerlXS::Test::dropped" (c"", 0, Some(0)) dropped;
    MADE c"PerlXS::Test::made" (c"", 0, Some(0)) made;
    UNEVEN c"PerlXS::Test::uneven" (c"", 0, Some(0)) uneven;
    DEPTHS c"PerlXS::Test::depths" (c"", 0, Some(0)) depths;
    RAISE c"PerlXS::Test::raise" (c"signal, ...", 1, None) raise;
    FLUSH_ALL c"PerlXS::Test::flush_all" (c"", 0, Some(0)) flush_all;
    IN_CHILD c"PerlXS::Test::in_child" (c"code, variable", 1, Some(2)) in_child;
    SV_COUNT c"PerlXS::Test::sv_count" (c"", 0, Some(0)) sv_count;
    REPORT_DROPS c"PerlXS::Test::report_drops" (c"", 0, Some(0)) report_drops;
    NUMBER c"PerlXS::Test::number" (c"sv", 1, Some(1)) number;
    BYTES c"PerlXS::Test::bytes" (c"sv", 1, Some(1)) bytes;
    FILLED c"PerlXS::Test::filled" (c"n", 1, Some(1)) filled;
    TEXT c"PerlXS::Test::text" (c"sv", 1, Some(1)) text;
    IS_TRUE c"PerlXS::Test::is_true" (c"sv", 1, Some(1)) is_true;
    VARIABLE c"PerlXS::Test::variable" (c"value, name", 1, Some(2)) variable;
    LOAD_MODULE c"PerlXS::Test::load_module" (c"name", 1, Some(1)) load_module;
    ACT c"PerlXS::Test::act" (c"how, ...", 1, None) act;
    TRUST_ENV c"PerlXS::Test::trust_env" (c"", 0, Some(0)) trust_env;
    FILE_NAME c"PerlXS::Test::file_name" (c"sv", 1, Some(1)) file_name;
    GIVE c"PerlXS::Test::give" (c"type, sv = undef", 1, Some(2)) give;
    SET c"PerlXS::Test::set" (c"sv, value", 2, Some(2)) set;
    DESCRIBE c"PerlXS::Test::describe" (c"sv", 1, Some(1)) describe;
    FLAGS c"PerlXS::Test::flags" (c"sv", 1, Some(1)) flags;
    FILENO c"PerlXS::Test::fd" (c"sv", 1, Some(1)) fileno;
    COPY c"PerlXS::Test::copy" (c"sv", 1, Some(1)) copy;
    LIST c"PerlXS::Test::list" (c"...", 0, None) list;
    CONTEXT c"PerlXS::Test::context" (c"seen", 1, Some(1)) context;
    SIGNAL_NUMBER c"PerlXS::Test::signal_number" (c"name", 1, Some(1)) signal_number;
    SLEEPING_READ c"PerlXS::Test::sleeping_read" (c"fd", 1, Some(1)) sleeping_read;
    CALL c"PerlXS::Test::call" (c"code, ...", 1, None) call;
    CATCH c"PerlXS::Test::catch" (c"code, ...", 1, None) catch;
    DEAF c"PerlXS::Test::deaf" (c"code, other", 2, Some(2)) deaf;
    LATE c"PerlXS::Test::late" (c"code, sv", 2, Some(2)) late;
    PANICS c"PerlXS::Test::panics" (c"text", 1, Some(1)) panics;
    CROAKS c"PerlXS::Test::croaks" (c"text", 1, Some(1)) croaks;
    COUNT c"PerlXS::Test::count" (c"...", 0, None) count;
    ARRAY c"PerlXS::Test::array" (c"ref, index, function, ...", 3, None) data::array_do;
    HASH c"PerlXS::Test::hash" (c"ref, key, function, value = undef", 3, Some(4)) data::hash_do;
    NEW_ARRAY c"PerlXS::Test::new_array" (c"...", 0, None) data::new_array;
    NEW_HASH c"PerlXS::Test::new_hash" (c"...", 0, None) data::new_hash;
    NESTED c"PerlXS::Test::nested" (c"", 0, Some(0)) data::nested;
    ELEMENTS c"PerlXS::Test::elements" (c"ref", 1, Some(1)) data::elements;
    ENTRIES c"PerlXS::Test::entries" (c"ref", 1, Some(1)) data::entries;
    REFERENT c"PerlXS::Test::referent" (c"ref, value", 2, Some(2)) data::referent;
    DEREF c"PerlXS::Test::deref" (c"ref", 1, Some(1)) data::deref;
    REFERENCE c"PerlXS::Test::reference" (c"sv", 1, Some(1)) data::reference;
    ASK c"PerlXS::Test::ask" (c"sv", 1, Some(1)) data::ask;
    CALL_LIST c"PerlXS::Test::call_list" (c"code, ...", 1, None) data::call_list;
    METHOD c"PerlXS::Test::method" (c"invocant, name, ...", 2, None) data::method;
    CODEREF c"PerlXS::Test::coderef" (c"code", 1, Some(1)) data::coderef;
    SPIN c"PerlXS::Test::spin" (c"tenths", 1, Some(1)) border::spin;
    START c"PerlXS::Test::start" (c"program, argument", 2, Some(2)) border::start;
    PANIC_TWICE c"PerlXS::Test::panic_twice" (c"", 0, Some(0)) border::panic_twice;
    THREADED c"PerlXS::Test::threaded" (c"", 0, Some(0)) border::threaded;
    FAULT c"PerlXS::Test::fault" (c"", 0, Some(0)) border::fault;
    KEEP c"PerlXS::Test::keep" (c"...", 0, None) border::keep;
    KEPT c"PerlXS::Test::kept" (c"how, other = undef", 1, Some(2)) border::kept;
    NUMBERS c"PerlXS::Test::numbers" (c"array, code = undef", 2, Some(2)) data::numbers;
    EACH_ELEMENT c"PerlXS::Test::each_element" (c"array, code", 2, Some(2)) data::each_element;
    WALK c"PerlXS::Test::walk" (c"hash, code = undef", 1, Some(2)) data::walk;
    WALK_ON c"PerlXS::Test::walk_on" (c"hash", 1, Some(1)) data::walk_on;
    SEEN_EACH c"PerlXS::Test::seen_each" (c"code, see, ...", 2, None) data::seen_each;
    TEST_EACH c"PerlXS::Test::test_each" (c"code, ...", 1, None) data::test_each;
    MAP_EACH c"PerlXS::Test::map_each" (c"code, last, ...", 2, None) data::map_each;
    WITH_EACH c"PerlXS::Test::with_each" (c"code, ...", 1, None) data::with_each;
    REDUCE c"PerlXS::Test::reduce" (c"code, ...", 1, None) data::reduce;
    NAMED c"PerlXS::Test::named" (c"name, sigil", 2, Some(2)) data::named;
    EVAL_TEXT c"PerlXS::Test::eval_text" (c"text", 1, Some(1)) data::eval_text;
    WARNS c"PerlXS::Test::warns" (c"text, category", 1, Some(2)) data::warns;
    BLESSED_INTO c"PerlXS::Test::blessed_into" (c"ref, class", 2, Some(2)) data::blessed_into;
    WEAKENED c"PerlXS::Test::weakened" (c"ref", 1, Some(1)) data::weakened;
    QUEUE c"PerlXS::Test::queue" (c"...", 0, None) data::queue;
    DRAIN c"PerlXS::Test::drain" (c"", 0, Some(0)) data::drain;
    DROP_QUEUE c"PerlXS::Test::drop_queue" (c"", 0, Some(0)) data::drop_queue;
    ATTACHED c"PerlXS::Test::attached" (c"sv, what, code = undef", 2, Some(3)) objects::attached;
    BORROWED c"PerlXS::Test::borrowed" (c"string, how, other, code", 4, Some(4)) data::borrowed;
    OPTIONAL c"PerlXS::Test::optional" (c"first, second, ...", 1, None) data::optional;
    OBJECT_NEW c"PerlXS::Test::Counter::new" (c"class, ...", 1, Some(3)) objects::new;
    OBJECT_ADD c"PerlXS::Test::Counter::add" (c"self, n", 2, Some(2)) objects::add;
    OBJECT_WITH c"PerlXS::Test::Counter::with" (c"self, code", 2, Some(2)) objects::with;
    OBJECT_ME c"PerlXS::Test::Counter::me" (c"self", 1, Some(1)) objects::me;
    GUEST_XSUB c"PerlXS::Test::guest" (c"code", 1, Some(1)) guest;
    SHARES c"PerlXS::Test::shares" (c"n", 1, Some(1)) shares;
}

fn module() -> Module {
    // the tests read the croak; the hook's own report would be noise between their lines
    std::panic::set_hook(Box::new(|_| {}));
    let module = Module::new(c"PerlXS::Test", c"0.01", XSUBS);
    module
        .xsubs(typed::SAME)
        .xsubs(typed::XSUBS)
        .xsubs(api::XSUBS)
        .constants([
            Constant::new("SEVEN", 7),
            Constant::new("HIGHEST", u64::MAX),
            Constant::of("LEAST", |_| i64::MIN.into()),
            Constant::of("EURO", |_| "\u{20ac}".into()),
            Constant::of("NOTHING", |_| ().into()),
            Constant::of("PRIMES", |perl| (&Array::of(perl, [2, 3, 5])).into()),
        ])
}

perlxs::boot!(boot_PerlXS__Test, module);
