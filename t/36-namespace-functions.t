# setns, pivot_root and ns_get_*.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT kernel_since);
use Linux::Clone qw(:flags :ns setns pivot_root pidfd_open ns_get_userns ns_get_parent ns_get_nstype ns_get_owner_uid);
use Config;
use Fcntl qw(F_GETFD FD_CLOEXEC);
use File::Temp ();
use IO::File ();
use POSIX qw(EBADF EINVAL ENOENT ENOTDIR ENOTTY EPERM SIGCHLD);
use ProcessTest qw(%namespace_file);

# The result, or "errno N" where it says that there is one.
sub outcome { my ($code) = @_; $! = 0; my $got = $code->(); return $got == -1 ? 'errno ' . ($! + 0) : $got }
sub errno_of { my ($code) = @_; return outcome($code) =~ /^errno (\d+)$/ ? $1 : 'success' }

# A child in namespaces of its own, which keeps them until it is killed.
sub keeper { return spawn(sub { sleep 100; 0 }, @_) }
sub dismiss { kill KILL => @_; waitpid $_, 0 for @_; return }

sub handle { my ($file) = @_; open my $fh, '<', $file or die "$file: $!"; return $fh }
sub names  { my ($pid, @files) = @_; return join ' ', map { readlink "/proc/$pid/ns/$_" or die "$_: $!" } @files }

my $root = $> == 0;
# who is not root gets its privileges in a user namespace, which is joined first
my ($user, $user_file) = $root ? (0) : (CLONE_NEWUSER, 'user');
my $others = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
my @others = qw(mnt uts ipc net);

# ---- setns, by the files of namespaces ----

for my $name (sort keys %namespace_file) {
    my ($file, $flag) = ($namespace_file{$name}, Linux::Clone->can("CLONE_$name")->());
    SKIP: {
        my $flags = $flag | $user;
        needs($flags, 3);
        my $pid = keeper($flags);
        # what children get; it is what setns changes, too, and all it changes of PID namespaces
        my $seen = $file eq 'pid' ? 'pid_for_children' : $file;
        my $theirs = names($pid, $file);
        isnt $theirs, names('self', $seen), "$name: there is another";
        for my $type ($flag, undef) {
            my $got = result(sub {
                my $fh = handle("/proc/$pid/ns/$file");
                if ($user && $file ne 'user') {
                    my $their_user = handle("/proc/$pid/ns/user");
                    setns($their_user) == 0 or return "user: $!";
                }
                $! = 77;
                my $retval = defined $type ? setns($fh, $type) : setns($fh);
                return "$retval " . ($! + 0) . ' ' . names('self', $seen);
            });
            is $got, "0 77 $theirs", defined $type ? 'setns joins it' : 'without a type as well';
        }
        dismiss($pid);
    }
}
SKIP: {
    my $flags = CLONE_NEWPID | $user;
    needs($flags, 1);
    my $pid = keeper($flags);
    my $got = result(sub {
        my @fh = map { handle("/proc/$pid/ns/$_") } grep { defined } $user_file, 'pid';
        setns($_) == 0 or return "$!" for @fh;
        my $own = $$;
        return ($own == POSIX::getpid() ? 'caller stays, ' : '') . result(sub { "child is $$" });
    });
    is $got, 'caller stays, child is 2', 'a PID namespace: its next process is a child of the caller';
    dismiss($pid);
}
SKIP: {
    skip 'a time namespace: ' . (-e '/proc/self/ns/time' ? 'needs root here' : 'the kernel has none (Linux 5.6)'), 1
        if !$root || !-e '/proc/self/ns/time';
    my ($got, $theirs) = split / /, result(sub {
        my $before = handle('/proc/self/ns/time_for_children');
        Linux::Clone::unshare(CLONE_NEWTIME) == 0 or return "unshare: $!";
        my $after = handle('/proc/self/ns/time_for_children');
        setns($before, CLONE_NEWTIME) == 0 or return "back: $!";
        setns($after) == 0 or return "forth: $!";
        return names('self', 'time') . ' ' . readlink '/proc/self/fd/' . fileno $after;
    });
    is $got, $theirs, 'a time namespace';
}

# ---- by a pidfd, several at once ----

SKIP: {
    my $flags = $others | CLONE_NEWPID | $user;
    needs($flags, 6);
    skip 'setns takes pidfds since Linux 5.8', 6 if !kernel_since('5.8');
    my $refusal = waitid_refusal();
    skip $refusal, 6 if $refusal;
    my $pid = keeper($flags);
    my $fd = pidfd_open($pid);
    cmp_ok $fd, '!=', -1, 'a pidfd' or diag $!;
    my @files = (@others, grep { defined } $user_file);
    is result(sub { setns($fd, $flags) . ' ' . names('self', @files, 'pid_for_children') }),
        '0 ' . names($pid, @files, 'pid'), 'a pidfd and all of its namespaces';
    open my $pidfd, '<&=', $fd or die $!;
    is result(sub { setns($pidfd, CLONE_NEWUTS | CLONE_NEWIPC | $user) . ' ' . names('self', 'uts', 'ipc', 'net') }),
        '0 ' . names($pid, 'uts', 'ipc') . ' ' . names('self', 'net'), 'or some of them';
    is errno_of(sub { setns($pidfd) }),    EINVAL, 'a pidfd without a type: EINVAL';
    is errno_of(sub { setns($pidfd, 1) }), EINVAL, 'with a flag that is no namespace: EINVAL';
    dismiss($pid);
    is errno_of(sub { setns($pidfd, $flags) }), POSIX::ESRCH(), 'of a process that has ended: ESRCH';
}

# ---- every kind of handle, and what is none ----

SKIP: {
    my $flags = CLONE_NEWUTS | $user;
    needs($flags, 8);
    my $pid = keeper($flags);
    my $expected = names($pid, 'uts');
    # inside of the user namespace for who needs it; each time from another one
    my $got = result(sub {
        if ($user) { my $theirs = handle("/proc/$pid/ns/user"); setns($theirs) == 0 or return "user: $!" }
        my ($own, $fh) = (handle('/proc/self/ns/uts'), handle("/proc/$pid/ns/uts"));
        open UTS, '<&', $fh or return "dup: $!";
        my $fd = fileno $fh;
        my $object = IO::File->new("/proc/$pid/ns/uts") or return "IO::File: $!";
        Linux::Clone::unshare(CLONE_NEWUTS) == 0 or return "unshare: $!";
        my $away = handle('/proc/self/ns/uts');
        my @got;
        for my $by ([ 'number', sub { setns $fd } ], [ 'string', sub { setns "$fd", CLONE_NEWUTS } ], [ 'handle', sub { setns $fh } ],
            [ 'glob', sub { setns(*UTS) } ], [ 'reference', sub { setns \*UTS, undef } ], [ 'object', sub { setns $object } ],
            [ 'IO', sub { setns(*UTS{IO}) } ], [ 'bareword', sub { setns UTS, 0 } ], [ 'name', sub { setns 'UTS' } ])
        {
            setns($away) == 0 or return "away: $!";
            my $retval = $by->[1]->();
            push @got, $by->[0] if $retval != 0 || names('self', 'uts') ne $expected;
        }
        return "these fail: @got";
    });
    is $got, 'these fail: ', 'by a number, a handle, a glob, an object, a bareword';
    my $fh = handle("/proc/$pid/ns/uts");
    # EINVAL is said before EPERM
    is errno_of(sub { setns($fh, CLONE_NEWNET) }), EINVAL, 'another type than that of the file: EINVAL';
    is errno_of(sub { setns($fh, 1 << 31) }), EINVAL, 'the highest bit goes to the kernel';
    is errno_of(sub { setns(-1) }), EBADF, '-1: EBADF';
    my $null = handle('/dev/null');
    is errno_of(sub { setns($null) }), EINVAL, 'no namespace: EINVAL';
    opendir my $dir, '/' or die $!;
    is errno_of(sub { setns($dir) }), EINVAL, 'a directory: EINVAL';
    close $null;
    is errno_of(sub { setns($null) }), EBADF, 'a closed handle: EBADF';
    open my $memory, '<', \'x' or die $!;
    is errno_of(sub { setns($memory, CLONE_NEWNET) }), EBADF, 'a handle in memory: EBADF';
    dismiss($pid);
}
is result(sub {
    POSIX::setuid(65534) if $root;
    my $fh = handle('/proc/self/ns/uts');
    return errno_of(sub { setns($fh) });
}), EPERM, 'without privilege: EPERM';
{
    my $fh = handle('/proc/self/ns/user');
    is errno_of(sub { setns($fh) }), EINVAL, "the caller's own user namespace: EINVAL";
}

SKIP: {
    my $flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
    needs($flags, 6);
    my $pid = keeper($flags);
    my ($theirs, $mounts) = map { handle("/proc/$pid/ns/$_") } 'user', 'mnt';
    my $own = handle('/proc/self/ns/pid');
    is result(sub { outcome(sub { setns($theirs) }) }, CLONE_FS), 'errno ' . EINVAL, 'FS is shared: no other user namespace';
    SKIP: {
        skip 'needs root', 1 if !$root;
        is result(sub { outcome(sub { setns($mounts) }) }, CLONE_FS), 'errno ' . EINVAL, 'and no other mount namespace';
    }
    # in the user namespace of the keeper it has no privilege over its own PID namespace
    is result(sub { outcome(sub { setns($own) }) }, $flags), 'errno ' . EPERM, 'a PID namespace above, of another owner: EPERM';
    SKIP: {
        skip 'needs root', 2 if !$root;
        is result(sub { outcome(sub { setns($own) }) }, CLONE_NEWPID), 'errno ' . EINVAL, 'a PID namespace above: EINVAL';
        is outcome(sub { setns($own) }), 0, "the caller's own";
    }
    is result(sub {
        setns($theirs) == 0 or return "user: $!";
        chdir '/proc' or return "chdir: $!";
        setns($mounts) == 0 or return "mnt: $!";
        return join ' ', map { readlink "/proc/self/$_" } 'cwd', 'root';
    }), '/ /', 'a mount namespace: root and working directory are its root';
    dismiss($pid);
}
SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    my $flags = CLONE_NEWUSER;
    needs($flags, 2);
    my $pid = keeper($flags);
    my $theirs = handle("/proc/$pid/ns/user");
    is result(sub { require threads; threads->create(sub { outcome(sub { setns($theirs) }) })->join }), 'errno ' . EINVAL,
        'several threads: no other user namespace';
    SKIP: {
        skip 'a time namespace: needs root here, and Linux 5.6', 1 if !$root || !-e '/proc/self/ns/time';
        my $time = handle('/proc/self/ns/time');
        is result(sub { require threads; threads->create(sub { outcome(sub { setns($time) }) })->join }), 'errno ' . POSIX::EUSERS(),
            'nor a time namespace: EUSERS';
    }
    dismiss($pid);
}

# ---- pivot_root ----

# In a mount namespace of its own, as root: what the code returns. Its argument is a new root
# below a directory, by the name that is given; a directory `old` is in it.
sub with_root {
    my ($name, $code) = @_;
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    my ($uid, $gid) = ($>, $) + 0);
    return result(sub {
        write_maps($uid, $gid) if $user;
        my $new = "$dir/$name";
        mkdir $new or return "mkdir: $!";
        for (['--make-rprivate', '/'], ['-t', 'tmpfs', 'tmpfs', $new]) {
            system('mount', @$_) == 0 or return "mount @$_ failed";
        }
        mkdir "$new/$_" or return "mkdir: $!" for 'old', 'here';
        return $code->($new, $dir);
    }, CLONE_NEWNS | $user);
}
my $wide = "wide \x{20ac} \xe9";
utf8::upgrade(my $upgraded = "upgraded \xe9");
SKIP: {
    needs(CLONE_NEWNS | $user, 12);
    my $refusal = with_root('plain', sub { '' });
    skip "the kernel refuses to mount: $refusal", 12 if $refusal ne '';
    skip 'the root is a rootfs, which cannot be moved', 12 if slurp('/proc/self/mountinfo') =~ m{ / / .* - rootfs }m;
    for ([ 'plain', 'a name' ], [ "Latin \xe9", 'a name in Latin-1' ], [ $upgraded, 'the same, upgraded' ], [ $wide, 'a wide name' ]) {
        my ($name, $what) = @$_;
        is with_root($name, sub {
            my ($new) = @_;
            $! = 77;
            my $retval = pivot_root($new, "$new/old");
            my $errno = $! + 0;
            chdir '/' or return "chdir: $!";
            return join ' ', $retval, $errno, map { -d $_ ? $_ : () } '/here', '/old/proc/self', '/proc/self';
        }), '0 77 /here /old/proc/self', "pivot_root: $what";
    }
    is with_root('plain', sub {
        my ($new) = @_;
        chdir $new or return "chdir: $!";
        my $retval = pivot_root('.', '.');
        chdir '/' or return "chdir: $!";
        return "$retval " . (-d '/here' ? 'here' : 'not here');
    }), '0 here', 'the old root over the new one';
    is with_root('plain', sub {
        my $new = bless [ $_[0] ], 'Path';
        my $retval = pivot_root($new, bless [ "$_[0]/old" ], 'Path');
        return "$retval " . (-d '/here' ? 'here' : 'not here');
    }), '0 here', 'objects that are names';
    for ([ ENOENT, 'no such directory', '%s/nothing', '%s/old' ], [ ENOENT, 'nor the other', '%s', '%s/nothing' ], [ ENOENT, 'an empty name', '', '%s/old' ],
        [ ENOTDIR, 'a file', '/proc/self/status', '%s/old' ], [ EINVAL, 'no mount point', '%s/here', '%s/here' ], [ POSIX::EBUSY(), 'where the root is', '%s', '/' ])
    {
        my ($errno, $what, @names) = @$_;
        is with_root('plain', sub { my ($new) = @_; s/%s/$new/ for @names; errno_of(sub { pivot_root($names[0], $names[1]) }) }),
            $errno, "pivot_root: $what: errno $errno";
    }
}
{ package Path; use overload '""' => sub { $_[0][0] } }
is result(sub { POSIX::setuid(65534) if $root; errno_of(sub { pivot_root('/', '/') }) }), EPERM, 'pivot_root without privilege: EPERM';
for (undef, \1, [], *STDOUT, \*STDOUT) {
    my $what = $_;
    ok !eval { pivot_root($what, '/'); 1 }, 'what names nothing';
    like $@, qr/^Linux::Clone::pivot_root: \$new_root must be the name of a directory, not \S.* at \Q$0\E line \d+\.$/, 'croaks';
}
ok !eval { pivot_root('/', "/tmp\0/x"); 1 }, 'a NUL';
like $@, qr{^Linux::Clone::pivot_root: \$old_root has a NUL: the string "/tmp\\0/x" at }, 'is not the end of a name';

# ---- ns_get_nstype, ns_get_userns, ns_get_parent, ns_get_owner_uid ----

my $asked = handle('/proc/self/ns/user');
SKIP: {
    my $refusal = outcome(sub { ns_get_userns($asked) });
    skip "the kernel refuses NS_GET_USERNS (Linux 4.9): $refusal", 31 if $refusal eq 'errno ' . ENOTTY;
    my $has_type = outcome(sub { ns_get_nstype($asked) }) ne 'errno ' . ENOTTY;
    for my $name (sort(keys %namespace_file), 'NEWTIME') {
        my $file = $namespace_file{$name} // 'time';
        SKIP: {
            skip "$name: NS_GET_NSTYPE is refused: errno " . ENOTTY . ' (Linux 4.11)', 2 if !$has_type;
            skip "$name: the kernel has none", 2 if !-e "/proc/self/ns/$file";
            my $fh = handle("/proc/self/ns/$file");
            is ns_get_nstype($fh), Linux::Clone->can("CLONE_$name")->(), "ns_get_nstype: $name";
            # the owner is this user namespace, or one that the caller cannot see
            next if $name eq 'NEWUSER';
            my $got = outcome(sub { ns_get_userns $fh });
            my $seen = $got =~ /^errno/ ? $got : readlink "/proc/self/fd/$got";
            like $seen, qr/^(?:\Q${\ names('self', 'user')}\E|errno ${\ EPERM})$/, "ns_get_userns: $name";
            POSIX::close($got) if $got !~ /errno/;
        }
    }
    SKIP: {
        my $flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
        needs($flags, 14);
        my $pid = keeper($flags);
        my ($user, $pidns, $net) = map { handle("/proc/$pid/ns/$_") } qw(user pid net);
        my $seen = sub { my ($fd) = @_; my $name = readlink "/proc/self/fd/$fd" or return "$fd: $!"; POSIX::close($fd); return $name };
        $! = 77;
        is $seen->(ns_get_userns $net), names($pid, 'user'), 'ns_get_userns: of a network namespace';
        is $! + 0, 77, '$! is as it was';
        is $seen->(ns_get_userns $pidns), names($pid, 'user'), 'of a PID namespace';
        is $seen->(ns_get_userns $user), names('self', 'user'), 'of a user namespace';
        is $seen->(ns_get_parent $user), names('self', 'user'), 'ns_get_parent: of a user namespace';
        is $seen->(ns_get_parent $pidns), names('self', 'pid'), 'of a PID namespace';
        is errno_of(sub { ns_get_parent $net }), EINVAL, 'of one of another kind: EINVAL';
        SKIP: {
            skip 'NS_GET_OWNER_UID is refused: errno ' . ENOTTY . ' (Linux 4.11)', 4 if !$has_type;
            is ns_get_owner_uid($user), $>, 'ns_get_owner_uid';
            is errno_of(sub { ns_get_owner_uid $net }), EINVAL, 'of a namespace of another kind: EINVAL';
            my ($packed, $word) = (pack('L', 77), NS_GET_OWNER_UID);
            ioctl $user, $word, $packed or die "ioctl: $!";
            is unpack('L', $packed), $>, "perl's ioctl by the constant";
            SKIP: {
                skip 'needs root', 1 if !$root;
                my $other = spawn(sub { POSIX::setuid(4294967294); Linux::Clone::unshare(CLONE_NEWUSER); kill STOP => $$; 0 });
                Linux::Clone::waitid(Linux::Clone::P_PID, $other, Linux::Clone::WSTOPPED);
                is ns_get_owner_uid(handle("/proc/$other/ns/user")), 4294967294, 'the largest user id is not taken for -1';
                dismiss($other);
            }
        }
        my $fd = ns_get_userns $net;
        open my $fh, '<&=', $fd or die $!;
        ok fcntl($fh, F_GETFD, 0) & FD_CLOEXEC, 'the descriptor is close-on-exec';
        my $by_ioctl = ioctl $net, NS_GET_USERNS, 0;
        is $seen->($by_ioctl), names($pid, 'user'), "perl's ioctl gives one, too";
        is result(sub { my $theirs = ns_get_userns $net; setns($theirs, CLONE_NEWUSER) . ' ' . names('self', 'user') }),
            '0 ' . names($pid, 'user'), 'setns takes it';
        dismiss($pid);
    }
    is result(sub { errno_of(sub { ns_get_parent $asked }) }, CLONE_NEWUSER), EPERM, "ns_get_parent: out of the caller's sight: EPERM"
        if do { my $pid = Linux::Clone::clone(sub { 0 }, 0, CLONE_NEWUSER | SIGCHLD); waitpid $pid, 0; $pid != -1 };
}
my $null = handle('/dev/null');
for my $name (qw(ns_get_userns ns_get_parent ns_get_nstype ns_get_owner_uid)) {
    my $get = Linux::Clone->can($name);
    is errno_of(sub { $get->($null) }), ENOTTY, "$name: no namespace: ENOTTY";
    is errno_of(sub { $get->(-1) }),    EBADF,  'no descriptor: EBADF';
    for (undef, 'nosuch', [], 1.5) {
        my $what = $_;
        ok !eval { $get->($what); 1 }, "$name of something else";
        like $@, qr/^Linux::Clone::$name: \$fh_or_fd must be a handle or the number of a descriptor, not \S.* at \Q$0\E line \d+\.$/, 'croaks';
    }
    is prototype($get), '*', 'its prototype';
}
is prototype('Linux::Clone::setns'),      '*;$', 'the prototype of setns';
is prototype('Linux::Clone::pivot_root'), '$$',  'that of pivot_root';
for (undef, 'nosuch', [], 1.5) {
    my $what = $_;
    ok !eval { setns($what); 1 }, 'setns of something else';
    like $@, qr/^Linux::Clone::setns: \$fh_or_fd must be a handle or the number of a descriptor, not /, 'croaks';
}
for ('x', 1.5, [], do { my $undef; \$undef }) {
    my $type = ref eq 'SCALAR' ? $$_ : $_;
    ok !eval { setns($asked, $type); 1 }, 'setns with another type than an integer';
    like $@, qr/^Linux::Clone::setns: \$nstype must be an integer, not /, 'croaks';
}
for my $type (1 << 32, -1) {
    ok !eval { setns($asked, $type); 1 }, "setns with the type $type";
    like $@, qr/^Linux::Clone::setns: \$nstype is out of range: $type at /, 'croaks';
}

# ---- as scripts for 1.3 call all this ----

SKIP: {
    my $flags = CLONE_NEWUSER | CLONE_NEWNET;
    needs($flags, 1);
    my ($output) = perl_output(<<'SCRIPT');
use Linux::Clone;
sub say_ { print "@_\n" }
my $pid = fork // die;
if (!$pid) { sleep 60; exit }
say_ 0 < Linux::Clone::kcmp $$, $pid, Linux::Clone::KCMP_VM;
say_ Linux::Clone::kcmp $$, $$, Linux::Clone::KCMP_FILE, 1, 1;
kill KILL => $pid;
waitpid $pid, 0;
Linux::Clone::unshare Linux::Clone::NEWUSER | Linux::Clone::NEWNET
   and die "unshare: $!";
Linux::Clone::configure_loopback;
open my $fh, "<", "/proc/self/ns/net" or die;
say_ Linux::Clone::setns $fh, Linux::Clone::NEWNET;
say_ Linux::Clone::setns fileno $fh;
say_ Linux::Clone::siocsifflags "lo";
say_ Linux::Clone::siocsifflags "lo", 0;
say_ Linux::Clone::pivot_root "/nonexistent", "/nonexistent";
say_ 0 < ioctl $fh, Linux::Clone::NS_GET_USERNS, 0;
say_ Linux::Clone::NS_OWNER_UID == Linux::Clone::NS_GET_OWNER_UID;
SCRIPT
    is $output, join("\n", 1, 0, 0, 0, 0, 0, -1, 1, 1, ''), 'a script that imports nothing and writes no parentheses';
}

# ---- the arguments are read once; what that throws is heard ----

{
    package Once { sub TIESCALAR { bless { value => $_[1], n => 0 } } sub FETCH { $_[0]{n}++; $_[0]{value} } }
    package Dying { sub TIESCALAR { bless [] } sub FETCH { die "no value\n" } }
    my @ties = (tie(my $fh, 'Once', $null), tie(my $type, 'Once', 0), tie(my $name, 'Once', '/nonexistent'), tie(my $other, 'Once', '/'));
    is outcome(sub { setns($fh, $type) }), 'errno ' . EINVAL, 'tied arguments';
    # the kernel may look at the privilege first
    like outcome(sub { pivot_root($name, $other) }), qr/^errno (?:${\ ENOENT}|${\ EPERM})$/, 'of pivot_root';
    is_deeply [ map { $_->{n} } @ties ], [ 1, 1, 1, 1 ], 'are read once';
    tie my $dying, 'Dying';
    for (sub { setns($dying) }, sub { setns($null, $dying) }, sub { pivot_root($dying, '/') }, sub { pivot_root('/', $dying) }, sub { ns_get_userns($dying) }) {
        ok !eval { $_->(); 1 }, 'one that dies';
        is $@, "no value\n", 'is heard';
    }
}

# ---- nothing is left behind ----

{
    my $descriptors = descriptors();
    for (1 .. 300) {
        my @fds = (ns_get_userns($asked), ns_get_parent($asked));
        POSIX::close($_) for grep { $_ != -1 } @fds;
        ns_get_nstype $asked;
        ns_get_owner_uid $asked;
        setns($asked);
        pivot_root('/nonexistent', '/nonexistent');
    }
    is descriptors(), $descriptors, 'no descriptor more';
    is children(), 0, 'no child';
}

done_testing;
