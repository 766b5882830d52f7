# Each flag does in the child what clone(2) says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Cwd ();
use File::Temp ();
use POSIX qw(SIGCHLD);
use ProcessTest qw(%namespace_file ids);

for my $name (sort keys %namespace_file) {
    my $file = $namespace_file{$name};
    SKIP: {
        my $flags = namespace_flags(Linux::Clone->can($name)->());
        needs($flags, 2);
        my $own = readlink "/proc/self/ns/$file";
        is result(sub { readlink "/proc/self/ns/$file" }), $own, "without $name: the caller's $file namespace";
        my $new = result(sub { readlink "/proc/self/ns/$file" }, $flags);
        ok $new =~ /^$file:\[\d+\]$/ && $new ne $own, "$name: another one";
    }
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWNS | Linux::Clone::NEWUTS | Linux::Clone::NEWIPC | Linux::Clone::NEWNET
            | Linux::Clone::NEWPID | Linux::Clone::NEWCGROUP);
    needs($flags, 1);
    is result(sub { join ' ', $$, interfaces() }, $flags), '1 lo',
        'all of them at once';
}
SKIP: {
    needs(Linux::Clone::NEWUSER, 3);
    my ($uid, $gid) = ($>, $) + 0);
    is result(sub { write_maps($uid, $gid); ids() }, Linux::Clone::NEWUSER), '0 0 0 0',
        'NEWUSER: root inside';
    is result(sub { write_maps($uid, $gid); Linux::Clone::unshare(Linux::Clone::NEWNS) }, Linux::Clone::NEWUSER), '0',
        'with its rights';
    is $>, $uid, 'the caller stays who it is';
}
# ---- shared or not ----

sub chdir_after { my ($flags) = @_; my $old = Cwd::getcwd(); my $tmp = Cwd::realpath(File::Temp::tempdir(CLEANUP => 0));
    status(sub { chdir $tmp; 0 }, $flags); my $new = Cwd::getcwd(); chdir $old; rmdir $tmp; return $new eq $tmp ? 'moved' : 'stayed' }
is chdir_after(0), 'stayed', "the child's directory is its own";
is chdir_after(Linux::Clone::FS), 'moved', 'with FS it is shared';
{
    my $umask = umask;
    status(sub { umask 0123; 0 }, Linux::Clone::FS);
    is umask($umask), 0123, 'and so is the umask';
}
for my $share (0, 1) {
    pipe my $read, my $write or die $!;
    my $fd = fileno $write;
    status(sub { POSIX::close($fd); 0 }, $share ? Linux::Clone::FILES : 0);
    my $alive = -e "/proc/self/fd/$fd" ? 'open' : 'closed';
    is $alive, $share ? 'closed' : 'open', $share ? 'with FILES the descriptor table is shared' : "the child's descriptors are copies";
    POSIX::dup2(fileno $read, $fd) if $share;    # so that perl's close finds something
}
is status(sub { 8 }, Linux::Clone::SYSVSEM), 'exit 8', 'SYSVSEM';
is status(sub { 8 }, Linux::Clone::IO), 'exit 8', 'IO';
is status(sub { 8 }, Linux::Clone::PTRACE), 'exit 8', 'PTRACE, without a tracer';
is status(sub { 8 }, Linux::Clone::UNTRACED), 'exit 8', 'UNTRACED';
is status(sub { 8 }, Linux::Clone::DETACHED), 'exit 8', 'DETACHED';
is status(sub { 8 }, Linux::Clone::FILES | Linux::Clone::FS | Linux::Clone::SYSVSEM | Linux::Clone::IO), 'exit 8', 'several';

# ---- VFORK alone ----

{
    my $value = 'parent';
    pipe my $read, my $write or die $!;
    my $pid = spawn(sub { $value = 'child'; select undef, undef, undef, 0.2; syswrite $write, 'done'; 9 }, Linux::Clone::VFORK);
    my $bits = '';
    vec($bits, fileno $read, 1) = 1;
    is select($bits, undef, undef, 0), 1, 'VFORK: the caller goes on when the child is done';
    is CloneTest::reap($pid), 'exit 9', 'its status';
    is $value, 'parent', 'memory is not shared';
    $pid = spawn(sub { exec $^X, '-e', 'sleep 20' or 1 }, Linux::Clone::VFORK);
    is waitpid($pid, POSIX::WNOHANG()), 0, 'or when it has called exec';
    kill KILL => $pid;
    is CloneTest::reap($pid), 'signal 9', 'while the program runs';
}

# ---- PARENT ----

is result(sub {
    my $parent = getppid;
    my $result = result_of_sibling();
    return $result == $parent ? 'sibling' : "parent $result";
}), 'sibling', "PARENT: the child's parent is the caller's";
sub result_of_sibling {
    pipe my $read, my $write or die $!;
    my $pid = spawn(sub { syswrite $write, getppid; POSIX::_exit(0) }, Linux::Clone::PARENT);
    close $write;
    my $ppid = <$read>;
    waitpid($pid, 0) == -1 or die 'it is a child after all';
    return $ppid;
}
1 while waitpid(-1, POSIX::WNOHANG()) > 0;

# ---- PIDFD ----

SKIP: {
    my $pidfd;
    my $pid = Linux::Clone::clone(sub { sleep 20 }, 0, SIGCHLD | Linux::Clone::PIDFD, $pidfd);
    skip kernel_refuses('PIDFD'), 6 if $pid == -1;
    like readlink("/proc/self/fd/$pidfd"), qr/pidfd/, 'PIDFD: $ptid gets a pidfd';
    is fd_field($pidfd, 'Pid'), $pid, "the child's";
    ok closes_on_exec($pidfd), 'close-on-exec';
    my $bits = '';
    vec($bits, $pidfd, 1) = 1;
    is select(my $ready = $bits, undef, undef, 0), 0, 'it is not readable while the child lives';
    kill KILL => $pid;
    is select($ready = $bits, undef, undef, 20), 1, 'and is when it has ended';
    is CloneTest::reap($pid), 'signal 9', 'reaped';
    POSIX::close($pidfd);
}
is Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::PIDFD | Linux::Clone::PARENT_SETTID, my $both), -1,
    'PIDFD and PARENT_SETTID: both want the place';
is $! + 0, POSIX::EINVAL(), 'EINVAL';
is $both, undef, 'and nothing is stored';

# ---- refused for lack of privilege ----

SKIP: {
    skip 'root is allowed all', 5 if $> == 0;
    my $before = children();
    for my $name (qw(NEWNS NEWNET)) {
        is Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone->can($name)->()), -1, "$name without privilege: -1";
        is $! + 0, POSIX::EPERM(), 'EPERM';
    }
    is children(), $before, 'and no child';
}

done_testing;
