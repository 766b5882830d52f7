# clone3(2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use File::Temp ();
use POSIX qw(SIGCHLD SIGUSR1 ENOSYS EPERM EINVAL EBADF EEXIST);
no warnings 'exec';

is prototype('Linux::Clone::clone3'), '$$', 'the prototype';
{
    my $pid = Linux::Clone::clone3(sub { 0 }, {});
    if ($pid == -1) {
        plan skip_all => kernel_refuses('clone3') if $!{ENOSYS} || $!{EPERM};
        BAIL_OUT("clone3: $!");
    }
    is CloneTest::reap($pid), 'exit 0', 'all keys are optional; the exit signal is SIGCHLD';
}
my $shared = Linux::Clone::VM | Linux::Clone::VFORK;

sub run3 {
    my ($code, %args) = @_;
    my $pid = Linux::Clone::clone3($code, \%args);
    return 'errno ' . ($! + 0) if $pid == -1;
    waitpid($pid, 0x40000000) == $pid or die "waitpid: $!";    # __WALL
    return $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
}

for my $flags (0, $shared) {
    my $kind = $flags ? 'shared memory' : 'a copy';
    is run3(sub { 77 }, flags => $flags), 'exit 77', "$kind: a value";
    is run3(sub { exit 6 }, flags => $flags), 'exit 6', 'exit';
    is run3(sub { open my $null, ">", "/dev/null"; POSIX::dup2(fileno $null, 2); $! = 7; die "x\n" }, flags => $flags), 'exit 7', 'die';
    is run3(sub { exec $^X, '-e', 'exit 8' }, flags => $flags), 'exit 8', 'exec';
    is run3(sub { kill KILL => $$; sleep 9 }, flags => $flags), 'signal 9', 'SIGKILL';
    is run3(sub { run3(sub { 9 }, flags => $flags) eq 'exit 9' ? 9 : 1 }, flags => $flags), 'exit 9', 'nested';
    is run3(sub { 10 }, flags => $flags, exit_signal => 0), 'exit 10', 'no exit signal';
    {
        my $got = 0;
        local $SIG{USR1} = sub { $got++ };
        is run3(sub { 10 }, flags => $flags, exit_signal => SIGUSR1), 'exit 10', 'another exit signal';
        is $got, 1, 'arrives';
    }
    my ($fd, $ptid, $ctid);
    is run3(sub { $ctid == $$ ? 3 : 4 }, flags => $flags, pidfd => \$fd, parent_tid => \$ptid, child_tid => \$ctid), 'exit 3', 'pidfd, parent_tid, child_tid';
    like readlink("/proc/self/fd/$fd"), qr/pidfd/, 'a pidfd, beside the thread id';
    ok closes_on_exec($fd), 'close-on-exec';
    POSIX::close($fd);
    cmp_ok $ptid, '>', 1, 'the thread id';
    $ctid = 1 << 40;
    is run3(sub { $ctid == $$ ? 3 : 4 }, flags => $flags, child_tid => \$ctid), 'exit 3', 'a variable is one, whatever it held';
    my $clear = 5;
    is run3(sub { 0 }, flags => $flags | Linux::Clone::CHILD_CLEARTID, child_tid => \$clear), 'exit 0', 'CHILD_CLEARTID';
    is $clear, $flags ? 0 : 5, $flags ? 'cleared' : 'in the copy';
    my %array;
    is run3(sub { 0 }, flags => $flags, parent_tid => \$array{x}[2]), 'exit 0', 'an element';
    cmp_ok $array{x}[2], '>', 1, 'is assigned to';
}

# ---- the stack ----

is run3(sub { join('', mappings()) =~ /x/ ? 5 : 6 }, stack_size => 1 << 20), 'exit 5', 'a stack size';
is result3(sub {
    my ($stack) = grep { $_->{access} eq 'rw-p' && $_->{size} == 3 << 20 } ProcessTest::guarded(mappings());
    return $stack ? $stack->{size} : 'none';
}, stack_size => 3 << 20), 3 << 20, 'of which the child has just that, above a guard';
sub result3 {
    my ($code, %args) = @_;
    pipe my $read, my $write or die $!;
    my $pid = Linux::Clone::clone3(sub { close $read; print {$write} $code->(); close $write; 0 }, \%args);
    close $write;
    my $text = do { local $/; <$read> };
    CloneTest::reap($pid);
    return $text;
}
is run3(sub { 1 }, stack_size => 1 << 60), 'errno ' . POSIX::ENOMEM(), 'too large a one';

# ---- what the old call cannot say ----

{
    local $SIG{USR2} = sub { };
    like result3(sub { status_field('SigCgt') }, flags => Linux::Clone::CLEAR_SIGHAND), qr/^0+$/, 'CLEAR_SIGHAND: no handler is left';
    unlike result3(sub { status_field('SigCgt') }, flags => 0), qr/^0+$/, 'without it there is one';
    is run3(sub { 1 }, flags => Linux::Clone::CLEAR_SIGHAND | Linux::Clone::SIGHAND | $shared), 'errno ' . EINVAL, 'not with SIGHAND';
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWTIME);
    my $pid = Linux::Clone::clone3(sub { 0 }, { flags => $flags });
    skip kernel_refuses('NEWTIME'), 1 if $pid == -1;
    waitpid $pid, 0;
    my $own = readlink '/proc/self/ns/time';
    my $new = result3(sub { readlink '/proc/self/ns/time' }, flags => $flags);
    ok $new =~ /^time:/ && $new ne $own, 'NEWTIME';
}
SKIP: {
    # as init of a namespace of its own the child may choose its ids there
    my $flags = namespace_flags(Linux::Clone::NEWPID);
    needs($flags, 2);
    is run3(sub { $$ }, flags => $flags, set_tid => [1]), 'exit 1', 'set_tid: process 1';
    my ($uid, $gid) = ($>, $) + 0);
    is result3(sub { write_maps($uid, $gid) if namespace_flags(0); run3(sub { $$ == 42 ? 5 : 6 }, set_tid => [42]) }, flags => $flags), 'exit 5', 'process 42 of a namespace of its own';
}
is run3(sub { 1 }, set_tid => [$$]), $> == 0 ? 'errno ' . EEXIST : 'errno ' . EPERM, 'a thread id that is taken, or not allowed';
is run3(sub { 1 }, set_tid => [ (5) x 40 ]), 'errno ' . EINVAL, 'more ids than namespaces can be nested';
is run3(sub { 1 }, set_tid => []), 'exit 1', 'none';

# ---- control groups ----

is run3(sub { 1 }, cgroup => -1), 'errno ' . EINVAL, 'cgroup -1';
is run3(sub { 1 }, cgroup => 1 << 20), 'errno ' . EBADF, 'a descriptor that is not open';
{
    open my $file, '<', '/dev/null' or die $!;
    is run3(sub { 1 }, cgroup => fileno $file), 'errno ' . EBADF, 'one that is no control group';
    is run3(sub { 1 }, cgroup => $file), 'errno ' . EBADF, 'by its handle';
    close $file;
    is run3(sub { 1 }, cgroup => $file), 'errno ' . EBADF, 'a closed handle';
}
SKIP: {
    my ($root) = map { /^\S+ (\S+) cgroup2 / ? $1 : () } split /\n/, slurp('/proc/self/mounts');
    skip 'no cgroup2 file system is mounted', 3 if !$root;
    my $group = "$root/linux-clone-test-$$";
    mkdir $group or skip kernel_refuses('a control group'), 3;
    opendir my $dir, $group or die "$group: $!";
    my $fd = POSIX::open($group, POSIX::O_RDONLY()) // die "$group: $!";
    for my $cgroup ($fd, $dir) {
        my $text = result3(sub { slurp('/proc/self/cgroup') }, cgroup => $cgroup);
        like $text, qr/linux-clone-test-$$/, 'a child that starts in a control group, by ' . (ref \$cgroup eq 'SCALAR' ? 'number' : 'handle');
    }
    unlike slurp('/proc/self/cgroup'), qr/linux-clone-test/, 'in which its parent is not';
    POSIX::close($fd);
    rmdir $group or diag "$group: $!";
}

# ---- bits that we do not know pass through ----

is run3(sub { 1 }, flags => 1 << 50), 'errno ' . EINVAL, 'an unknown flag: the kernel decides';
is run3(sub { 1 }, flags => SIGCHLD), 'errno ' . EINVAL, 'a signal in the flags';
is run3(sub { 1 }, exit_signal => 65), 'errno ' . EINVAL, 'an exit signal out of range';
is run3(sub { 1 }, exit_signal => 1 << 40), 'errno ' . EINVAL, 'far out of range';
is run3(sub { 1 }, flags => Linux::Clone::PARENT, exit_signal => SIGCHLD), 'errno ' . EINVAL, 'an exit signal for a sibling';

# ---- no reference, no key ----

for my $case (
    [ {},                          'x',  '$coderef must be a CODE reference or the name of a defined sub, not the string "x"' ],
    [ [],                          undef, 'the second argument must be a reference to a hash, not a reference to an ARRAY' ],
    [ undef,                       undef, 'the second argument must be a reference to a hash, not undef' ],
    [ (bless {}, 'Some'),          undef, 'the second argument must be a reference to a hash, not an object of class Some' ],
    [ { flag => 1 },               undef, 'there is no "flag" in struct clone_args' ],
    [ { "fl\0gs" => 1 },           undef, 'there is no "fl\0gs" in struct clone_args' ],
    [ { flags => 'x' },            undef, 'flags must be an integer, not the string "x"' ],
    [ { flags => undef },          undef, 'flags must be an integer, not undef' ],
    [ { flags => 1e30 },           undef, 'flags is out of range: 1e+30' ],
    [ { exit_signal => [] },       undef, 'exit_signal must be an integer, not a reference to an ARRAY' ],
    [ { stack_size => -1 },        undef, 'stack_size is negative: -1' ],
    [ { pidfd => 5 },              undef, 'pidfd must be a reference to a scalar, not 5' ],
    [ { pidfd => \5 },             undef, 'pidfd cannot be assigned to: it is read-only or a glob (5)' ],
    [ { parent_tid => [] },        undef, 'parent_tid must be a reference to a scalar, not a reference to an ARRAY' ],
    [ { cgroup => 'x' },           undef, 'cgroup must be a handle or the number of a descriptor, not the string "x"' ],
    [ { set_tid => 5 },            undef, 'set_tid must be a reference to an array of thread ids, not 5' ],
    [ { set_tid => [ 1, 'x' ] },   undef, 'set_tid must be a reference to an array of thread ids, not the string "x"' ],
    [ { set_tid => [ 1 << 40 ] },  undef, 'set_tid must be a reference to an array of thread ids, not ' . (1 << 40) ],
    [ { child_tid => \"constant" }, undef, 'child_tid is neither a variable nor an address: the string "constant"' ],
    [ { child_tid => [] },         undef, 'child_tid must be a reference to a scalar or an address, not a reference to an ARRAY' ],
    [ { child_tid => 5 },          undef, 'child_tid must be a reference to a scalar or an address, not 5' ],
    [ { flags => Linux::Clone::CHILD_SETTID }, undef, 'CHILD_SETTID needs child_tid' ],
    [ { flags => Linux::Clone::PIDFD }, undef, 'PIDFD needs pidfd' ],
    [ { flags => Linux::Clone::SETTLS }, undef, 'SETTLS needs tls' ],
    [ { flags => Linux::Clone::INTO_CGROUP }, undef, 'INTO_CGROUP needs cgroup' ],
    [ { tls => 'x' },              undef, 'tls is no address in memory: the string "x"' ],
    [ { flags => Linux::Clone::VM }, undef, 'VM without VFORK would run two processes in one interpreter at once; use VM|VFORK, or leave VM out' ],
  )
{
    my ($args, $code, $message) = @$case;
    ok !eval { Linux::Clone::clone3($code // sub { 1 }, $args); 1 }, $message;
    like $@, qr/^Linux::Clone::clone3: \Q$message\E at \Q$0\E line \d+\.$/, 'croaks';
}
{
    package Tied { require Tie::Hash; our @ISA = 'Tie::StdHash'; sub FETCH { $_[1] eq 'dies' ? die "no fetch\n" : $_[0]{ $_[1] } } }
    tie my %tied, 'Tied';
    $tied{flags} = 0;
    my $pid = Linux::Clone::clone3(sub { 5 }, \%tied);
    is CloneTest::reap($pid), 'exit 5', 'a tied hash';
    %tied = (parent_tid => \my $tid, child_tid => \my $ctid, pidfd => \my $fd);
    $pid = Linux::Clone::clone3(sub { $ctid == $$ ? 6 : 7 }, \%tied);
    is CloneTest::reap($pid), 'exit 6', 'with references in it';
    ok $tid == $pid && POSIX::close($fd), 'which are followed';
    %tied = (dies => 1);
    ok !eval { Linux::Clone::clone3(sub { 5 }, \%tied); 1 }, 'one that dies';
    is wait, -1, 'starts nothing';
}
is wait, -1, 'no refused call has created a process';

done_testing;
