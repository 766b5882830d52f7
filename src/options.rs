//! From `spawn`'s options to a request: everything is read and checked before anything is created.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;

use libc::{c_int, pid_t};
use perlxs::{Call, Code, Number, Scalar};

use crate::child::{self, ChildStack, SystemCall};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::setup::{ProcFile, Program, Setup, Step};
use crate::spawn;
use crate::sys;

const FUNCTION: &str = "spawn";

/// What `spawn` was asked for, checked.
#[derive(Debug)]
pub(crate) struct SpawnRequest {
    pub(crate) work: Work,
    /// In bytes.
    pub(crate) stack_size: usize,
    /// With PIDFD.
    pub(crate) flags: CloneFlags,
    pub(crate) system_call: SystemCall,
    /// What the child does first.
    pub(crate) setup: Setup,
    /// The maps that the child cannot write itself.
    pub(crate) maps: Vec<IdMap>,
}

/// What the child is for.
#[derive(Debug)]
pub(crate) enum Work {
    Code(Code),
    Exec(Program),
}

/// User ids or group ids (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    User,
    Group,
}

/// `uid_map` or `gid_map`.
#[derive(Debug)]
pub(crate) struct IdMap {
    pub(crate) kind: IdKind,
    pub(crate) rows: Vec<Row>,
}

/// `count` ids from `inside` on stand for those from `outside` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) inside: u32,
    pub(crate) outside: u32,
    pub(crate) count: u32,
}

impl IdKind {
    pub(crate) fn step(self) -> Step {
        match self {
            IdKind::User => Step::UidMap,
            IdKind::Group => Step::GidMap,
        }
    }

    /// The file's name in /proc/PID.
    pub(crate) fn file(self) -> &'static CStr {
        match self {
            IdKind::User => c"uid_map",
            IdKind::Group => c"gid_map",
        }
    }

    /// The caller's own id.
    fn own(self) -> u32 {
        match self {
            IdKind::User => sys::geteuid(),
            IdKind::Group => sys::getegid(),
        }
    }

    /// Whether the caller may map others' ids, too (capabilities(7)).
    pub(crate) fn may_map_others(self) -> bool {
        sys::has_capability(match self {
            IdKind::User => sys::CAP_SETUID,
            IdKind::Group => sys::CAP_SETGID,
        })
    }
}

impl IdMap {
    /// As /proc/PID/uid_map takes it.
    pub(crate) fn text(&self) -> Vec<u8> {
        let lines = self.rows.iter().map(|row| {
            let Row {
                inside,
                outside,
                count,
            } = row;
            format!("{inside} {outside} {count}\n")
        });
        lines.collect::<String>().into_bytes()
    }

    /// Whether the caller's own id is all of it: anybody may map that.
    fn is_own_alone(&self) -> bool {
        matches!(&self.rows[..], [Row { outside, count: 1, .. }] if *outside == self.kind.own())
    }

    /// The id that the child has to take: 0, if that is mapped and the caller's own is not.
    fn to_become(&self) -> Option<u32> {
        let contains = |first: u32, count: u32, id: u32| id >= first && id - first < count;
        let own = self.kind.own();
        let own_is_mapped = |row: &Row| contains(row.outside, row.count, own);
        let root_is_mapped = |row: &Row| row.inside == 0;
        (self.rows.iter().any(root_is_mapped) && !self.rows.iter().any(own_is_mapped)).then_some(0)
    }
}

/// The options as they come.
#[derive(Default)]
struct Options {
    code: Option<Code>,
    exec: Option<Vec<CString>>,
    env: Option<Vec<CString>>,
    flags: CloneFlags,
    exit_signal: Option<c_int>,
    stack_size: Option<usize>,
    set_tid: Vec<pid_t>,
    cgroup: Option<u64>,
    maps: Vec<IdMap>,
    setup: Setup,
}

impl SpawnRequest {
    /// Reads `%options`. Where one is given twice the last one counts, as in a hash; undef counts
    /// as not given.
    ///
    /// Returns `Err` for an option that there is not, for a value that makes no sense, for options
    /// that exclude each other, if reading one dies, or if in taint mode one is tainted or a
    /// program would get an environment that is not to be trusted; refuses a handle without a
    /// descriptor.
    pub(crate) fn from_options(call: &Call<'_>) -> Result<Self, spawn::Error> {
        if call.len() % 2 != 0 {
            let wrong = wrong("an odd number of arguments: options are names and values");
            return Err(wrong.into());
        }
        let mut options = Options::default();
        for i in (0..call.len()).step_by(2) {
            let name = name(&call.arg(i))?;
            let value = call.arg(i + 1).copy()?;
            options
                .read(call, &name, &value)
                .map_err(|error| match error {
                    Error::Errno(errno) => spawn::Error::bad_handle(&name, errno),
                    error => error.into(),
                })?;
        }
        call.perl().taint_proper(c"Linux::Clone::spawn")?;
        if options.exec.is_some() && options.env.is_none() {
            call.perl().taint_env()?;
        }
        Ok(options.check()?)
    }
}

fn wrong(message: impl AsRef<str>) -> Error {
    Error::usage(format!("Linux::Clone::spawn: {}", message.as_ref()))
}

/// The name of an option: a reference is one without its value.
fn name(arg: &Scalar) -> Result<String, Error> {
    let name = arg.copy()?;
    match name.file_name()? {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(wrong(format!(
            "the name of an option must be a string, not {}",
            name.describe()
        ))),
    }
}

impl Options {
    fn read(&mut self, call: &Call<'_>, name: &str, value: &Scalar) -> Result<(), Error> {
        let given = value.is_defined()?.then_some(value);
        let string = |value| string(name, value);
        let signal = |least| move |value| read::signal_from(least, call, FUNCTION, name, value);
        let setup = &mut self.setup;
        match name {
            "code" => {
                let code = |value| read::code(FUNCTION, name, value);
                self.code = given.map(code).transpose()?;
            }
            "exec" => self.exec = given.map(command).transpose()?,
            "flags" => self.flags = given.map(flags).transpose()?.unwrap_or_default(),
            "stack_size" => self.stack_size = Some(child::stack_size(FUNCTION, name, value)?),
            "exit_signal" => self.exit_signal = given.map(signal(0)).transpose()?,
            "cgroup" => {
                let cgroup = |value| child::control_group(FUNCTION, value);
                self.cgroup = given.map(cgroup).transpose()?;
            }
            "set_tid" => {
                let set_tid = |value| child::thread_ids(FUNCTION, value);
                self.set_tid = given.map(set_tid).transpose()?.unwrap_or_default();
            }
            "uid_map" | "gid_map" => {
                let kind = match name {
                    "uid_map" => IdKind::User,
                    _ => IdKind::Group,
                };
                self.maps.retain(|map| map.kind != kind);
                if given.is_some() {
                    let rows = rows(name, kind, value)?;
                    self.maps.push(IdMap { kind, rows });
                }
            }
            "time_offsets" => setup.time_offsets = given.map(time_offsets).transpose()?,
            "hostname" => setup.hostname = given.map(hostname).transpose()?,
            "loopback" => setup.loopback = value.is_true()?,
            "mount_proc" => setup.mount_proc = value.is_true()?,
            "root" => setup.root = given.map(string).transpose()?.map(by_its_name),
            "parent_death" => setup.parent_death = given.map(signal(1)).transpose()?,
            "cwd" => setup.cwd = given.map(string).transpose()?,
            "env" => self.env = given.map(environment).transpose()?,
            "stdin" => setup.streams[0] = given.map(|fd| stream(name, fd)).transpose()?,
            "stdout" => setup.streams[1] = given.map(|fd| stream(name, fd)).transpose()?,
            "stderr" => setup.streams[2] = given.map(|fd| stream(name, fd)).transpose()?,
            _ => return Err(wrong(format!("there is no option {}", read::quoted(name)))),
        }
        Ok(())
    }

    /// What the options come to together.
    fn check(self) -> Result<SpawnRequest, Error> {
        let Options {
            code,
            exec,
            env,
            mut flags,
            exit_signal,
            stack_size,
            set_tid,
            cgroup,
            maps,
            mut setup,
        } = self;
        let [stdin, stdout, stderr] = setup.streams.map(|stream| stream.is_some());
        let for_exec = [
            ("env", env.is_some()),
            ("cwd", setup.cwd.is_some()),
            ("stdin", stdin),
            ("stdout", stdout),
            ("stderr", stderr),
        ];
        let for_exec = for_exec.into_iter().find(|&(_, given)| given);
        let exit_signal = exit_signal.unwrap_or(libc::SIGCHLD);
        let work = match (code, exec) {
            (Some(_), Some(_)) => return Err(wrong("code and exec exclude each other")),
            (None, None) => return Err(wrong("it needs code or exec")),
            (Some(code), None) => match for_exec {
                Some((name, _)) => return Err(wrong(format!("{name} is for exec, not for code"))),
                None => Work::Code(code),
            },
            (None, Some(_)) if exit_signal != libc::SIGCHLD => {
                return Err(wrong(
                    "exit_signal is for code: the kernel makes that of a program SIGCHLD",
                ));
            }
            (None, Some(arguments)) => {
                let path = match &env {
                    Some(env) => env
                        .iter()
                        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=").map(Vec::from)),
                    None => sys::environment_variable("PATH"),
                };
                Work::Exec(Program::new(arguments, env, path.as_deref()))
            }
        };

        for (option, implied) in [
            (!maps.is_empty(), CloneFlags::NEWUSER),
            (setup.hostname.is_some(), CloneFlags::NEWUTS),
            (setup.loopback, CloneFlags::NEWNET),
            (setup.root.is_some(), CloneFlags::NEWNS),
            (setup.mount_proc, CloneFlags::NEWNS | CloneFlags::NEWPID),
            (cgroup.is_some(), CloneFlags::INTO_CGROUP),
        ] {
            if option {
                flags |= implied;
            }
        }
        if setup.time_offsets.is_some() {
            // the child makes that one: it has to write the offsets before it enters
            flags -= CloneFlags::NEWTIME;
        }
        setup.private_mounts = flags.contains(CloneFlags::NEWNS);
        setup.stays_dumpable = matches!(work, Work::Code(_));

        let id = |kind| {
            let map = maps.iter().find(|map| map.kind == kind);
            map.and_then(IdMap::to_become)
        };
        setup.group = id(IdKind::Group);
        setup.user = id(IdKind::User);
        let (own, maps) = maps
            .into_iter()
            .partition::<Vec<_>, _>(|map| map.is_own_alone() && !map.kind.may_map_others());
        setup.own_maps = own_maps(&own);

        let exit_signal = exit_signal as u64;
        let clone3_only = CloneFlags::INTO_CGROUP | CloneFlags::CLEAR_SIGHAND | CloneFlags::NEWTIME;
        let system_call = match flags.intersects(clone3_only) || !set_tid.is_empty() {
            true => SystemCall::Clone3 {
                exit_signal,
                set_tid,
                cgroup: cgroup.unwrap_or_default(),
            },
            false => {
                flags |= CloneFlags::from_bits_retain(exit_signal);
                SystemCall::Clone
            }
        };
        Ok(SpawnRequest {
            work,
            stack_size: stack_size.unwrap_or(ChildStack::DEFAULT),
            flags: flags | CloneFlags::PIDFD,
            system_call,
            setup,
            maps,
        })
    }
}

/// Without a right to more, the kernel lets a process map its own group only where that has given
/// up setgroups(2), for ever.
fn own_maps(maps: &[IdMap]) -> Vec<ProcFile> {
    let mut files = Vec::new();
    for map in maps {
        if map.kind == IdKind::Group {
            files.push(ProcFile {
                step: Step::GidMap,
                name: c"setgroups",
                text: b"deny".to_vec(),
            });
        }
        files.push(ProcFile {
            step: map.kind.step(),
            name: map.kind.file(),
            text: map.text(),
        });
    }
    files
}

/// Namespaces, and what else has a meaning for a child that is set up.
fn flags(value: &Scalar) -> Result<CloneFlags, Error> {
    let given = CloneFlags::from_bits_retain(read::bits(FUNCTION, "flags", value)?);
    let allowed = CloneFlags::NAMESPACES
        | CloneFlags::SYSVSEM
        | CloneFlags::IO
        | CloneFlags::PTRACE
        | CloneFlags::UNTRACED
        | CloneFlags::CLEAR_SIGHAND;
    let refused = given.difference(allowed);
    if refused.is_empty() {
        return Ok(given);
    }
    if refused.bits() & !CloneFlags::CSIGNAL.bits() == 0 {
        return Err(wrong(
            "flags has an exit signal: that is the option exit_signal",
        ));
    }
    let names: Vec<_> = (refused - CloneFlags::CSIGNAL)
        .iter_names()
        .map(|(name, _)| name)
        .collect();
    match &names[..] {
        [] => Err(wrong(format!(
            "flags has unknown bits: {:#x}",
            refused.bits()
        ))),
        names => Err(wrong(format!("flags may not have {}", names.join("|")))),
    }
}

/// A string as perl passes it to the system.
fn string(name: &str, value: &Scalar) -> Result<CString, Error> {
    let bytes = value
        .file_name()?
        .ok_or_else(|| wrong(format!("{name} must be a string, not {}", value.describe())))?;
    read::c_string(FUNCTION, name, value, bytes)
}

/// An open descriptor: a number that is none could become one of spawn's own.
fn stream(name: &str, value: &Scalar) -> Result<c_int, Error> {
    let fd = read::descriptor(FUNCTION, name, value)?;
    match sys::is_open(fd) {
        true => Ok(fd),
        false => Err(Error::Errno(libc::EBADF)),
    }
}

/// The working directory by a name: as "." it would stay below what is mounted on it.
fn by_its_name(directory: CString) -> CString {
    let bytes = directory.as_bytes();
    let is_here = !bytes.is_empty()
        && bytes
            .split(|&byte| byte == b'/')
            .enumerate()
            .all(|(n, part)| part == b"." || n > 0 && part.is_empty());
    match std::env::current_dir() {
        Ok(here) if is_here => CString::new(here.into_os_string().into_vec()).unwrap_or(directory),
        _ => directory,
    }
}

fn command(value: &Scalar) -> Result<Vec<CString>, Error> {
    let elements = value.elements()?.ok_or_else(|| {
        wrong(format!(
            "exec must be a reference to an array of a program and its arguments, not {}",
            value.describe()
        ))
    })?;
    if elements.is_empty() {
        return Err(wrong("exec is empty: it needs a program"));
    }
    let mut arguments = Vec::with_capacity(elements.len());
    for (n, element) in elements.iter().enumerate() {
        let argument = element.copy()?;
        if !argument.is_defined()? {
            return Err(wrong(format!("element {n} of exec is undef")));
        }
        arguments.push(string("exec", &argument)?);
    }
    Ok(arguments)
}

/// `NAME=VALUE` each.
fn environment(value: &Scalar) -> Result<Vec<CString>, Error> {
    // as %ENV passes them on: bytes where they can be
    let octets = |string: &Scalar| {
        let stored = string.file_name()?;
        let bytes = stored.as_ref().and_then(|_| string.bytes().ok()?);
        Ok::<_, Error>(bytes.or(stored))
    };
    let pairs = value.pairs()?.ok_or_else(|| {
        wrong(format!(
            "env must be a reference to a hash, not {}",
            value.describe()
        ))
    })?;
    let mut environment = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let said = name.describe();
        let name = octets(&name)?.unwrap_or_default();
        if name.is_empty() || name.contains(&b'=') {
            return Err(wrong(format!("env has a wrong name: {said}")));
        }
        let Some(value) = octets(&value.copy()?)? else {
            return Err(wrong(format!(
                "env has a value that is no string: that of {said}"
            )));
        };
        let entry = CString::new([&name[..], b"=", &value[..]].concat());
        environment.push(entry.map_err(|_| wrong(format!("env has a NUL: in {said}")))?);
    }
    Ok(environment)
}

fn rows(name: &str, kind: IdKind, value: &Scalar) -> Result<Vec<Row>, Error> {
    let own = kind.own();
    let refusal = || {
        wrong(format!(
            "{name} must be 'root', 'self' or a reference to an array of rows [inside, outside, \
             count], not {}",
            value.describe()
        ))
    };
    let Some(elements) = value.elements()? else {
        let inside = match value.file_name()?.as_deref() {
            Some(b"root") => 0,
            Some(b"self") => own,
            _ => return Err(refusal()),
        };
        return Ok(vec![Row {
            inside,
            outside: own,
            count: 1,
        }]);
    };
    if elements.is_empty() {
        return Err(refusal());
    }
    let mut rows = Vec::with_capacity(elements.len());
    for row in elements {
        let row = row.copy()?;
        let numbers = row.elements()?.ok_or_else(refusal)?;
        let [inside, outside, count] = &numbers[..] else {
            return Err(refusal());
        };
        let number = |what: &Scalar| read::number::<u32>(FUNCTION, name, &what.copy()?);
        let (inside, outside, count) = (number(inside)?, number(outside)?, number(count)?);
        // the highest id stands for none
        let ends = [inside, outside].map(|first| first.checked_add(count));
        if count == 0 || ends.contains(&None) {
            return Err(wrong(format!(
                "{name} has a row that is empty, or ends above all ids: [{inside}, {outside}, \
                 {count}]"
            )));
        }
        rows.push(Row {
            inside,
            outside,
            count,
        });
    }
    Ok(rows)
}

/// As /proc/PID/timens_offsets takes them (time_namespaces(7)).
fn time_offsets(value: &Scalar) -> Result<Vec<u8>, Error> {
    let entries = value.entries()?.ok_or_else(|| {
        wrong(format!(
            "time_offsets must be a reference to a hash, not {}",
            value.describe()
        ))
    })?;
    let mut text = String::new();
    for (clock, offset) in entries {
        if clock != "monotonic" && clock != "boottime" {
            return Err(wrong(format!(
                "time_offsets knows monotonic and boottime, not {}",
                read::quoted(&clock)
            )));
        }
        let offset = offset.copy()?;
        let number = offset.number()?;
        let whole = number.integer().and_then(|n| i64::try_from(n).ok());
        let (seconds, nanoseconds) = match (whole, number) {
            (Some(seconds), _) => (seconds, 0),
            (None, Number::Float(offset)) if offset.abs() < 1e15 => {
                let seconds = offset.floor();
                let nanoseconds = ((offset - seconds) * 1e9) as i64;
                (seconds as i64, nanoseconds.min(999_999_999))
            }
            _ => {
                return Err(wrong(format!(
                    "time_offsets must have seconds for {clock}, not {}",
                    offset.describe()
                )));
            }
        };
        text += &format!("{clock} {seconds} {nanoseconds}\n");
    }
    Ok(text.into_bytes())
}

fn hostname(value: &Scalar) -> Result<Vec<u8>, Error> {
    // HOST_NAME_MAX of Linux
    const LONGEST: usize = 64;
    let name = string("hostname", value)?.into_bytes();
    match name.len() {
        0..=LONGEST => Ok(name),
        length => Err(wrong(format!(
            "hostname has {length} bytes, but {LONGEST} are the most"
        ))),
    }
}
