package CloneTest;

# What the tests share. Importing it arms the alarm.

use strict;
use warnings;

use Config;
use Exporter 'import';
use Linux::Clone ();
use POSIX ();
use ProcessTest qw(ended slurp status_field fd_field closes_on_exec interfaces mappings stacks descriptors children);
use Test::More;

our @EXPORT = qw(spawn status result namespace_flags needs run_perl perl_output both slurp status_field fd_field closes_on_exec interfaces mappings stacks descriptors children write_maps waitid_refusal growth arm nr kernel_refuses);
our @EXPORT_OK = qw(kernel_since shared);

# Under memcheck or a sanitizer: so many times are limits longer, and repetitions fewer.
our $slow = $ENV{TEST_SLOW} || 1;

# Arms the alarm of a test.
sub arm { return alarm 120 * $slow }
arm();

# valgrind ends a process that calls clone(2) with the first two, and makes a fork of VM|VFORK,
# which the third is not for. xt/stress/memcheck.t knows what is not as expected then.
our $beyond_valgrind = $ENV{UNDER_VALGRIND} ? Linux::Clone::FILES() | Linux::Clone::FS() | Linux::Clone::SIGHAND() : 0;

# There is no VM|VFORK under valgrind; so that tests come to their end, it is left out there.
if ($ENV{UNDER_VALGRIND}) {
    package main;    # where the tests look for a sub by its name
    my $clone  = \&Linux::Clone::clone;
    my $shared = Linux::Clone::VM() | Linux::Clone::VFORK();
    no warnings 'redefine';
    *Linux::Clone::clone = sub ($$$;$$$) {
        return &$clone if ref $_[2] || ($_[2] // '') !~ /^\d+\z/ || ($_[2] & $shared) != $shared;
        return &$clone(@_[ 0, 1 ], $_[2] & ~$shared, @_[ 3 .. $#_ ]);
    };
}

# Starts a child with SIGCHLD as its exit signal; bails out if there is none.
sub spawn {
    my ($code, $flags, $stack) = @_;
    my $pid = Linux::Clone::clone($code, $stack // 0, POSIX::SIGCHLD() | ($flags // 0) & ~$beyond_valgrind);
    BAIL_OUT("clone: $!") if $pid == -1;
    return $pid;
}

# Reaps a child: "exit N" or "signal N".
sub reap {
    my ($pid) = @_;
    waitpid($pid, 0) == $pid or die "waitpid $pid: $!";
    return ended();
}

# Runs a child to its end: "exit N" or "signal N".
sub status {
    return reap(spawn(@_));
}

# Runs a child in this process's memory.
sub shared {
    my ($code, $flags, $stack) = @_;
    return status($code, Linux::Clone::VM() | Linux::Clone::VFORK() | ($flags // 0), $stack);
}

# Runs a child and returns what its code returns, a string, through a pipe.
sub result {
    my ($code, $flags, $stack) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $pid = spawn(
        sub {
            close $read;
            my $value = eval { $code->() } // "undef: $@";
            print {$write} $value;
            close $write;
            return 0;
        },
        $flags, $stack
    );
    close $write;
    my $value = do { local $/; <$read> };
    my $end = reap($pid);
    return $end eq 'exit 0' ? $value : "$end: $value";
}

# NEWUSER too, where the caller may not create other namespaces.
sub namespace_flags {
    my ($flags) = @_;
    return $> == 0 ? $flags : $flags | Linux::Clone::NEWUSER();
}

# Why something is skipped, by $!.
sub kernel_refuses {
    my ($what) = @_;
    return sprintf 'the kernel refuses %s: errno %d (%s)', $what, $! + 0, $!;
}

# Whether the kernel's release is at least this one: "5.8".
sub kernel_since {
    my ($release) = @_;
    my @is     = (POSIX::uname())[2] =~ /^(\d+)\.(\d+)/;
    my @wanted = split /\./, $release;
    return $is[0] > $wanted[0] || $is[0] == $wanted[0] && $is[1] >= $wanted[1];
}

# Skips the rest of a SKIP block if the kernel refuses a child with these flags.
sub needs {
    my ($flags, $tests) = @_;
    my $pid = Linux::Clone::clone(sub { 0 }, 0, POSIX::SIGCHLD() | $flags);
    skip kernel_refuses(sprintf 'clone with flags %#x', $flags), $tests if $pid == -1;
    waitpid $pid, 0;
    return;
}

# Why the kernel does not open a pidfd, or wait for one; '' if it does.
sub waitid_refusal {
    my $pid = spawn(sub { 0 });
    my $fd = Linux::Clone::pidfd_open($pid);
    my $refusal = $fd == -1 ? 'pidfd_open' : '';
    if ($fd != -1) {
        # another errno than that of an unknown P_PIDFD is not the kernel's fault
        my @found = Linux::Clone::waitid(Linux::Clone::P_PIDFD(), $fd, Linux::Clone::WEXITED() | Linux::Clone::WNOWAIT());
        $refusal = 'P_PIDFD' if !@found && $! == POSIX::EINVAL();
    }
    $refusal = kernel_refuses($refusal) if $refusal ne '';
    POSIX::close($fd) if $fd != -1;
    waitpid $pid, 0;
    return $refusal;
}

# Inside a new user namespace: the caller as root.
sub write_maps {
    my ($uid, $gid) = @_;
    for (['setgroups', 'deny'], ['uid_map', "0 $uid 1"], ['gid_map', "0 $gid 1"]) {
        my ($file, $text) = @$_;
        open my $fh, '>', "/proc/self/$file" or die "/proc/self/$file: $!";
        print {$fh} $text;
        close $fh or die "/proc/self/$file: $!";
    }
    return;
}

# Runs perl with these arguments: its output, both streams, and $?. The test's alarm ends it, too:
# one that hangs in clone has its signals blocked.
sub run_perl {
    my (@arguments) = @_;
    local $ENV{PERL_BADLANG} = 0;    # no word about a locale that this machine lacks
    my $pid = open my $fh, '-|';
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $^X, (map { "-I$_" } @INC), @arguments or die "exec: $!";
    }
    local $SIG{ALRM} = sub { kill KILL => $pid; die "the alarm, in perl @arguments" };
    my $output = do { local $/; <$fh> };
    close $fh;
    return ($output, $?);
}

# Likewise a program.
sub perl_output {
    my ($program, @arguments) = @_;
    return run_perl('-e', $program, '--', @arguments);
}

# What a program with threads prints, and its status, when start($code) is a fork and when it is a
# clone. told($code) starts, reaps, and prints the status; $main is the first process.
sub both {
    my ($body) = @_;
    return map {
        my ($output, $status) = perl_output(<<"PERL");
            use threads; use Linux::Clone; use POSIX (); \$| = 1;
            my \$main = \$\$;
            sub start { $_ }
            sub told { my \$p = start(\@_); waitpid \$p, 0; print "status \$?\n" }
            $body
PERL
        # whether perl counts a thread that is just ending is chance
        $output =~ s/^Perl exited with active threads:\n(?:\t.*\n)+//mg;
        "$output\[$status]";
    } 'my $code = shift; my $p = fork; if (!$p) { POSIX::_exit($code->()) } return $p',
        'Linux::Clone::clone($_[0], 0, 17)';
}

# Runs the code and tells what there is more of: kB of address space, mappings, descriptors,
# children. A scalar that each of 10,000 calls leaves behind takes address space, too. What is left
# behind each time is there in the third round as in the first; that malloc's heap is full just now,
# and grows by a step, is chance.
sub growth {
    my ($n, $code) = @_;
    $n = POSIX::ceil($n / $slow);
    # without this process's own stack, which grows to what the deepest signal handler needed
    my $size = sub { return status_field('VmSize') - status_field('VmStk') };
    my $measure = sub { return ($size->(), scalar(mappings()), descriptors(), children()) };
    $measure->(), $code->() for 1 .. 20;
    my $growth;
    for my $round (1 .. 3) {
        my @before = $measure->();
        $code->() for 1 .. $n;
        my @after = $measure->();
        # malloc may have given back what was free before
        $after[0] = $before[0] if $after[0] < $before[0];
        $growth = join ' ', map { $after[$_] - $before[$_] } 0 .. $#before;
        last if $growth !~ /[1-9]/;
    }
    return $growth;
}

# ---- system calls that perl has no function for ----

my %numbers = (
    # [ x86-64, those that have the generic table ]
    clone             => [ 56,  220 ],
    clone3            => [ 435, 435 ],
    unshare           => [ 272, 97 ],
    setns             => [ 308, 268 ],
    pidfd_open        => [ 434, 434 ],
    pidfd_send_signal => [ 424, 424 ],
    waitid            => [ 247, 95 ],
    kcmp              => [ 312, 272 ],
    pivot_root        => [ 155, 41 ],
    ioctl             => [ 16,  29 ],
    get_robust_list   => [ 274, 100 ],
    socketpair        => [ 53,  199 ],
    mmap              => [ 9,   222 ],
    munmap            => [ 11,  215 ],
    read              => [ 0,   63 ],
    write             => [ 1,   64 ],
    renameat2         => [ 316, 276 ],
    futex             => [ 202, 98 ],
    ioprio_set        => [ 251, 30 ],
    epoll_create1     => [ 291, 20 ],
    epoll_ctl         => [ 233, 21 ],
    prctl             => [ 157, 167 ],
    seccomp           => [ 317, 277 ],
    prlimit64         => [ 302, 261 ],
    ptrace            => [ 101, 117 ],
    wait4             => [ 61,  260 ],
    capget            => [ 125, 90 ],
    capset            => [ 126, 91 ],
    rt_sigqueueinfo   => [ 129, 138 ],
    mount             => [ 165, 40 ],
    openat            => [ 257, 56 ],
    setxattr          => [ 188, 5 ],
    sethostname       => [ 170, 161 ],
);
my $column = $Config{archname} =~ /^x86_64/ && $Config{ptrsize} == 8 ? 0 : $Config{archname} =~ /^(?:aarch64|riscv64)/ ? 1 : undef;

# The number of a system call, or undef on an architecture that these tests do not know.
sub nr {
    my ($name) = @_;
    my $numbers = $numbers{$name} or die "no number for $name";
    return defined $column ? $numbers->[$column] : undef;
}

1;
