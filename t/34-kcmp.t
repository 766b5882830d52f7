# kcmp.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Linux::Clone qw(:flags :kcmp kcmp);
use Config;
use IO::File ();
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID S_IRUSR S_IWUSR);
use POSIX qw(EBADF EFAULT EINVAL ENOENT ENOSYS EPERM ESRCH SIGCHLD);

# The result, or "errno N" where it says that there is one.
sub outcome { my ($code) = @_; $! = 0; my $got = $code->(); return $got == -1 ? 'errno ' . ($! + 0) : $got }

my $works = outcome(sub { kcmp $$, $$, KCMP_VM });
plan skip_all => 'the kernel is built without kcmp: errno ' . ENOSYS if $works eq 'errno ' . ENOSYS;

my @kinds = qw(VM FILES FS SIGHAND IO SYSVSEM);
my %type = map { $_ => Linux::Clone->can("KCMP_$_")->() } @kinds, 'FILE', 'EPOLL_TFD';

{
    $! = 77;
    is kcmp($$, $$, $type{$_}), 0, "KCMP_$_: a process and itself" for @kinds;
    is $! + 0, 77, '$! is as it was';
    is kcmp($$, $$, KCMP_FILE), 0, 'KCMP_FILE without descriptors: 0 and 0';
    is kcmp($$, $$, KCMP_VM, undef, undef), 0, 'undef for what is not given';
    is kcmp($$, $$, KCMP_VM, 5, -1), 0, 'what a type does not take is ignored';
    is prototype('Linux::Clone::kcmp'), '$$$;$$', 'the prototype';
}

# ---- what a child shares by the flags of clone ----

# For each kind 0 if parent and child share it, else 1.
sub shared {
    my ($flags) = @_;
    my $parent = $$;
    my $compare = sub {
        return join ' ', map {
            my ($there, $back) = (kcmp($parent, $$, $type{$_}), kcmp($$, $parent, $type{$_}));
            # 1 is less, 2 is greater
            $there == 0 && $back == 0 ? () : $there + $back == 3 ? $_ : "$_ $there $back";
        } @kinds;
    };
    # the child closes nothing: with FILES the descriptors are its parent's
    pipe my $read, my $write or die $!;
    my $pid = spawn(sub { syswrite $write, $compare->(); POSIX::_exit(0) }, $flags);
    waitpid $pid, 0;
    close $write;
    return <$read> // 'nothing';
}
# neither process has an I/O context or a list of adjustments before it needs one
is shared(0), 'VM FILES FS SIGHAND', 'a copy differs in each';
is shared(CLONE_FILES), 'VM FS SIGHAND', 'with FILES it shares the descriptors';
is shared(CLONE_FS), 'VM FILES SIGHAND', 'with FS the root and working directory';
is shared(CLONE_FILES | CLONE_FS), 'VM SIGHAND', 'with both, both';
is shared(CLONE_VM | CLONE_VFORK), 'FILES FS SIGHAND', 'with VM the memory';
is shared(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND), 'FILES FS', 'with SIGHAND the handlers';
SKIP: {
    my $id = semget IPC_PRIVATE, 1, IPC_CREAT | S_IRUSR | S_IWUSR;
    skip kernel_refuses('semget'), 2 if !defined $id;
    my ($semaphore, $value, $undo) = (0, 1, 0x1000);    # SEM_UNDO
    semop $id, pack('s3', $semaphore, $value, $undo) or die "semop: $!";
    is shared(0), 'VM FILES FS SIGHAND SYSVSEM', 'a copy has semaphore adjustments of its own';
    is shared(CLONE_SYSVSEM), 'VM FILES FS SIGHAND', 'with SYSVSEM it shares them';
    semctl $id, 0, IPC_RMID, 0;
}
my ($ioprio_set, $epoll_create1, $epoll_ctl) = map { nr($_) } qw(ioprio_set epoll_create1 epoll_ctl);
SKIP: {
    skip "this test does not know the system calls of $Config{archname}", 2 if !$ioprio_set;
    is result(sub {
        # this process, class best effort, priority 4: that takes an I/O context
        syscall($ioprio_set, 1, 0, 2 << 13 | 4) == 0 or return "ioprio_set: $!";
        return shared(0);
    }), 'VM FILES FS SIGHAND IO', 'a copy has an I/O context of its own';
    is result(sub { syscall($ioprio_set, 1, 0, 2 << 13 | 4) == 0 or return "ioprio_set: $!"; shared(CLONE_IO) }),
        'VM FILES FS SIGHAND', 'with IO it shares that';
}
{
    my @pids = map { spawn(sub { sleep 100; 0 }) } 1 .. 4;
    for my $type (@type{qw(VM FILES FS)}) {
        my $n = 0;
        my @sorted = sort { $n++; (0, -1, 1)[ kcmp $a, $b, $type ] } @pids;
        my $wrong = 0;
        for my $i (0 .. $#sorted) {
            for my $j ($i + 1 .. $#sorted) { $wrong++ if kcmp($sorted[$i], $sorted[$j], $type) != 1 }
        }
        is $wrong, 0, 'the order of four processes is one';
    }
    kill KILL => @pids;
    waitpid $_, 0 for @pids;
}

# ---- KCMP_FILE ----

{
    open FIRST, '<', '/dev/null' or die $!;
    open my $copy,  '<&', \*FIRST or die $!;
    open my $other, '<', '/dev/null' or die $!;
    my ($first, $second) = map { fileno $_ } \*FIRST, $copy;
    is kcmp($$, $$, KCMP_FILE, $first, $second), 0, 'KCMP_FILE: descriptors that are copies';
    like kcmp($$, $$, KCMP_FILE, $first, fileno $other), qr/^[12]$/, 'the same file, opened twice';
    is kcmp($$, $$, KCMP_FILE, $first, $other) + kcmp($$, $$, KCMP_FILE, $other, $first), 3, 'less one way, greater the other';
    my $object = IO::File->new_from_fd($first, 'r') or die $!;
    for ([ 'number', $first ], [ 'string', "$first" ], [ 'handle', $copy ], [ 'glob', *FIRST ], [ 'reference', \*FIRST ],
        [ 'IO object', *FIRST{IO} ], [ 'name', 'FIRST' ])
    {
        my ($what, $handle) = @$_;
        is kcmp($$, $$, KCMP_FILE, $handle, $copy), 0, "by a $what";
        is kcmp($$, $$, KCMP_FILE, $copy, $handle), 0, 'in the other place as well';
    }
    is result(sub { kcmp(getppid, $$, KCMP_FILE, $first, $copy) }), 0, "a child's copy of a descriptor";
    is result(sub {
        open my $fh, '<', '/dev/null' or die $!;
        POSIX::dup2(fileno $fh, $first);
        return kcmp(getppid, $$, KCMP_FILE, $first, $first) ? 'differs' : 'is the same';
    }), 'differs', 'what the child has opened';
    is result(sub { POSIX::dup2($second, 200); kcmp($$, getppid, KCMP_FILE, 200, $first) }), 0, 'a number that the caller does not have';
    is outcome(sub { kcmp($$, $$, KCMP_FILE, $first, 1 << 20) }), 'errno ' . EBADF, 'a number that nobody has: EBADF';
    is outcome(sub { kcmp($$, $$, KCMP_FILE, -1, $first) }),      'errno ' . EBADF, '-1: EBADF';
    close FIRST;
    is outcome(sub { kcmp($$, $$, KCMP_FILE, \*FIRST, 0) }), 'errno ' . EBADF, 'a closed handle: EBADF';
    open my $memory, '<', \'x' or die $!;
    is outcome(sub { kcmp($$, $$, KCMP_FILE, 0, $memory) }), 'errno ' . EBADF, 'a handle in memory: EBADF';
}

# ---- KCMP_EPOLL_TFD ----

SKIP: {
    skip "this test does not know the system calls of $Config{archname}", 12 if !$epoll_create1;
    pipe my $read, my $write or die $!;
    my $epfd = syscall($epoll_create1, 02000000);
    skip kernel_refuses('epoll_create1'), 12 if $epfd == -1;
    # struct epoll_event, packed on x86-64 only
    my $event = $Config{archname} =~ /^x86_64/ ? pack('L Q', 1, 0) : pack('L x4 Q', 1, 0);
    syscall($epoll_ctl, $epfd, 1, fileno $read, $event) == 0 or die "epoll_ctl: $!";
    my $slot = pack 'L3', $epfd, fileno $read, 0;
    my $got = outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, $slot) });
    skip 'the kernel refuses KCMP_EPOLL_TFD (Linux 4.13): errno ' . EINVAL, 12 if $got eq 'errno ' . EINVAL;
    is $got, 0, 'KCMP_EPOLL_TFD: what the descriptor of epoll watches, by the bytes of the struct';
    is kcmp($$, $$, KCMP_EPOLL_TFD, fileno $read, $slot), 0, 'the descriptor as a number';
    like kcmp($$, $$, KCMP_EPOLL_TFD, $write, $slot), qr/^[12]$/, 'another descriptor';
    is kcmp($$, $$, KCMP_EPOLL_TFD, $read, unpack 'J', pack 'p', $slot), 0, 'by the address of the struct';
    my $child = spawn(sub { sleep 100; 0 });
    is kcmp($$, $child, KCMP_EPOLL_TFD, $read, $slot), 0, 'the one of another process';
    is kcmp($child, $$, KCMP_EPOLL_TFD, fileno $read, $slot), 0, 'the other way round';
    kill KILL => $child;
    waitpid $child, 0;
    is outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, pack 'L3', $epfd, fileno $write, 0) }), 'errno ' . ENOENT,
        'what it does not watch: ENOENT';
    is outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, 1) }), 'errno ' . EFAULT, 'no address: EFAULT';
    is outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read) }),    'errno ' . EFAULT, 'nothing: EFAULT';
    utf8::upgrade(my $upgraded = $slot);
    is kcmp($$, $$, KCMP_EPOLL_TFD, $read, $upgraded), 0, 'an upgraded string is the same bytes';
    substr $slot, 8, 1, "\x80";
    utf8::upgrade($upgraded = $slot);
    is outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, $upgraded) }), outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, $slot) }),
        'also with a byte above 127';
    is outcome(sub { kcmp($$, $$, KCMP_EPOLL_TFD, $read, $slot) }), 'errno ' . ENOENT, 'which is an offset: ENOENT';
    POSIX::close($epfd);
}
for (undef, '', 'x' x 11, 'x' x 13, 1.5, \'x', [], *STDIN) {
    my $slot = $_;
    ok !eval { my $copy = $slot; kcmp($$, $$, KCMP_EPOLL_TFD, 0, $copy); 1 }, 'what is no struct';
    like $@, qr/^Linux::Clone::kcmp: \$idx2 must be the 12 bytes of a struct kcmp_epoll_slot, or their address, not \S.* at \Q$0\E line \d+\.$/, 'croaks';
}
ok !eval { kcmp($$, $$, KCMP_EPOLL_TFD, 0, "\x{20ac}" x 12); 1 }, 'wide characters';
like $@, qr/^Linux::Clone::kcmp: \$idx2 must be the 12 bytes of a struct kcmp_epoll_slot, or their address, not the string ".*"\.\.\. at /, 'are no bytes';

# ---- what the kernel refuses ----

{
    my $gone = spawn(sub { 0 });
    waitpid $gone, 0;
    is outcome(sub { kcmp($$, $gone, KCMP_VM) }), 'errno ' . ESRCH, 'a process that there is not: ESRCH';
    is outcome(sub { kcmp(0, $$, KCMP_VM) }),     'errno ' . ESRCH, 'process 0: ESRCH';
    is outcome(sub { kcmp($$, $$, 99) }),         'errno ' . EINVAL, 'a type that there is not: EINVAL';
    is outcome(sub { kcmp($$, $$, -1) }),         'errno ' . EINVAL, 'a negative one: EINVAL';
}
SKIP: {
    # root plays another user; others find one where process 1 is not theirs
    my $other = $> == 0 ? $$ : 1;
    skip "process 1 is this user's own", 1 if $other == 1 && (stat '/proc/1')[4] == $>;
    is result(sub { POSIX::setuid(65534) if $> == 0; outcome(sub { kcmp($$, $other, KCMP_VM) }) }), 'errno ' . EPERM, "another user's process: EPERM";
}

# ---- what croaks ----

my @no_integers = ('text', 1.5, \1, *STDOUT, 9**9**9);
for (@no_integers, 'undefined') {
    my $what = ref \$_ eq 'SCALAR' && $_ eq 'undefined' ? undef : $_;
    for ([ '$pid1', $what, $$, KCMP_VM ], [ '$pid2', $$, $what, KCMP_VM ], [ '$type', $$, $$, $what ], [ '$idx1', $$, $$, KCMP_VM, $what ],
        [ '$idx2', $$, $$, KCMP_FS, 0, $what ])
    {
        my ($name, @arguments) = @$_;
        ok !eval { &kcmp(@arguments); 1 }, "$name that is no integer";
        like $@, qr/^Linux::Clone::kcmp: \Q$name\E must be an integer, not \S.* at \Q$0\E line \d+\.$/, 'croaks';
    }
}
for my $what ('text', {}, 1.5) {
    for ([ '$idx1', KCMP_FILE, $what ], [ '$idx2', KCMP_FILE, 0, $what ], [ '$idx1', KCMP_EPOLL_TFD, $what ]) {
        my ($name, @arguments) = @$_;
        ok !eval { &kcmp($$, $$, @arguments); 1 }, "$name that is no descriptor";
        like $@, qr/^Linux::Clone::kcmp: \Q$name\E must be a handle or the number of a descriptor, not /, 'croaks';
    }
}
for ([ '$pid1', 1 << 31, 1, 1 ], [ '$pid2', 1, -(1 << 31) - 1, 1 ], [ '$type', 1, 1, 1 << 31 ], [ '$idx1', 1, 1, KCMP_FILE, 1 << 31 ],
    [ '$idx2', 1, 1, KCMP_FILE, 0, 1 << 31 ], [ '$idx1', 1, 1, KCMP_VM, 1e30 ], [ '$idx2', 1, 1, KCMP_EPOLL_TFD, 0, -1 ],
    [ '$idx2', 1, 1, KCMP_EPOLL_TFD, 0, 1e30 ])
{
    my ($name, @arguments) = @$_;
    ok !eval { &kcmp(@arguments); 1 }, "$name that is out of range";
    like $@, qr/^Linux::Clone::kcmp: \Q$name\E is out of range: /, 'croaks';
}

# ---- the arguments are read once ----

{
    package Once { sub TIESCALAR { bless { value => $_[1], n => 0 } } sub FETCH { $_[0]{n}++; $_[0]{value} } }
    my @tied = (undef) x 5;
    my @values = ($$, $$, KCMP_FILE, \*STDIN, 0);
    my @ties = map { tie $tied[$_], 'Once', $values[$_] } 0 .. 4;
    is &kcmp(@tied), 0, 'tied arguments';
    is_deeply [ map { $_->{n} } @ties ], [ (1) x 5 ], 'are read once';
    tie my $slot, 'Once', 'x' x 12;
    kcmp($$, $$, KCMP_EPOLL_TFD, 0, $slot);
    is tied($slot)->{n}, 1, 'so is the struct';
}
{
    my $descriptors = descriptors();
    kcmp($$, $$, KCMP_FILE, \*STDIN, 0), kcmp($$, 0, KCMP_VM) for 1 .. 300;
    is descriptors(), $descriptors, 'no descriptor more';
}

done_testing;
