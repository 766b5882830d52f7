# What the manual's section DIFFERENCES says of this module: where a script of version 0.01 to 1.3
# could notice that it is another one. What those did was run with the sources of 1.3. The
# interfaces are in t/39-interfaces.t, taint mode in t/81-taint.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use POSIX qw(EBADF EINVAL ENOENT ENODEV EPERM SIGCHLD);

# A call: what it returns, or "croak" and the message without the function's name.
sub outcome {
    my ($name, @arguments) = @_;
    local $! = 0;
    my $value = eval { Linux::Clone->can($name)->(@arguments) };
    return "croak: $@" =~ s/Linux::Clone::$name: | at \S+ line \d+\.\n//gr if $@ ne '';
    return $value == -1 ? 'errno ' . ($! + 0) : $value;
}

# ---- clone ----

is status(sub { 77 }), 'exit 77', 'the exit status is what the coderef returned';
is status(sub { -1 }), 'exit 255', 'its low eight bits';

my ($output, $status) = perl_output(<<'PERL');
    use Linux::Clone;
    print "before;";
    my $pid = eval { Linux::Clone::clone(sub { print "child;"; $! = 0; die "dead;\n" }, 0, 17) };
    waitpid $pid, 0;
    print "in one process: $$ caught '$@', status ", $? >> 8, "\n";
PERL
my $counts = join ' ', map { my $n = () = $output =~ /$_/g; "$_ $n" } 'before;', 'child;', 'dead;', 'in one process';
is $counts, 'before; 1 child; 1 dead; 1 in one process 1', 'an exception ends the child, and each output is there once'
    or diag $output;
like $output, qr/: \d+ caught '', status 255$/m, 'the eval of the caller sees nothing of it';

my $tid;
my $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $tid, undef, undef);
is $tid, $pid, 'the thread id, and six arguments';
waitpid $pid, 0;

for my $row (
    [ qr/^\$coderef must be /,             undef,       0,      SIGCHLD ],
    [ qr/^\$coderef must be /,             'undefined', 0,      SIGCHLD ],
    [ qr/^\$stacksize must be an integer/, sub { 0 },   '4k',   SIGCHLD ],
    [ qr/^\$stacksize is negative/,        sub { 0 },   -1,     SIGCHLD ],
    [ qr/^\$flags must be an integer/,     sub { 0 },   0,      'CHLD' ],
    [ qr/^\$flags has bits above the 32/,  sub { 0 },   0,      SIGCHLD | 1 << 40 ],
    [ qr/^the exit signal .* is 65, but/,  sub { 0 },   0,      65 ],
    [ qr/^VM without VFORK/,               sub { 0 },   0,      Linux::Clone::VM() | SIGCHLD ],
    [ qr/^PIDFD needs \$ptid/,             sub { 0 },   0,      Linux::Clone::PIDFD() | SIGCHLD ],
    )
{
    my ($message, @arguments) = @$row;
    like outcome('clone', @arguments) =~ s/^croak: //r, $message, "clone croaks: $message";
}
is children(), 0, 'and nothing was created';

# ---- the others ----

opendir my $directory, '/' or die "/: $!";
open my $file, '<', $0 or die "$0: $!";
my $name = 'x' x 20;
for my $row (
    [ qr/^croak: \$flags must be an integer/,     unshare => 'NEWNS' ],
    [ qr/^croak: \$flags must be an integer/,     unshare => undef ],
    [ qr/^croak: \$flags must be an integer/,     unshare => 1.5 ],
    [ qr/^errno @{[EINVAL]}$/,                    unshare => 1 << 40 ],
    [ qr/^errno @{[EINVAL]}$/,                    setns => $directory ],
    [ qr/^errno @{[EINVAL]}$/,                    setns => $file ],
    [ qr/^errno @{[EINVAL]}$/,                    setns => 'DATA' ],
    [ qr/^errno @{[EBADF]}$/,                     setns => -1 ],
    [ qr/^croak: \$fh_or_fd must be a handle/,    setns => undef ],
    [ qr/^croak: \$fh_or_fd is out of range/,     setns => 2**31 ],
    [ qr/^croak: \$new_root has a NUL/,           pivot_root => "/nosuch\0", '/' ],
    [ qr/^errno @{[$> == 0 ? ENOENT : EPERM]}$/,  pivot_root => "/nosuch\x{20ac}", '/' ],
    [ qr/^croak: \$new_root must be the name/,    pivot_root => undef, '/' ],
    [ qr/^errno @{[ENODEV]}$/,                    siocsifflags => 'nosuch0' ],
    [ qr/^croak: \$ifname must be the name/,      siocsifflags => $name ],
    [ qr/^croak: \$pid1 is out of range/,         kcmp => $$ + 2**32, $$, Linux::Clone::KCMP_VM() ],
    )
{
    my ($expected, $function, @arguments) = @$row;
    like outcome($function, @arguments), $expected, "$function: $expected";
}
SKIP: {
    my $order = Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_FILE(), $file, $file);
    skip kernel_refuses('kcmp'), 2 if $order == -1;
    is $order, 0, 'kcmp takes handles';
    isnt Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_FILE(), $file, $directory), 0, 'and means their descriptors';
}
# ---- names ----

for my $asked ('clone', ':flags') {
    ok eval "package Importing; use Linux::Clone '$asked'; 1", "use Linux::Clone '$asked'";
}
ok !eval q{package Importing; use Linux::Clone 'nosuch'; 1}, 'a name that there is not croaks';

done_testing;
__DATA__
