# The child's stack: its size, its protection, its end.
use strict;
use warnings;
no warnings 'portable';    # addresses have more than 32 bits
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use POSIX qw(SIGCHLD ENOMEM);

my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());

# The stack a child runs on, as "SIZE ACCESS below GUARD-SIZE GUARD-ACCESS": in a fresh process the
# only mapping with 1 MiB below it that cannot be touched.
sub stack_of {
    my ($size) = @_;
    my ($maps) = perl_output(<<'PERL', defined $size ? $size : ());
        use Linux::Clone;
        waitpid Linux::Clone::clone(sub { open my $maps, '<', '/proc/self/maps'; print <$maps>; 0 }, shift, 17), 0;
PERL
    my @lines = split /\n/, $maps;
    return $maps if grep { !/^\w+-\w+ \S+/ } @lines;
    return join ', ', map { "$_->{size} $_->{access} below $_->{guard} ---p" } ProcessTest::guarded(@lines);
}
for ([ 0, 4 << 20 ], [ undef, 4 << 20 ], [ 1, 256 << 10 ], [ 256 << 10, 256 << 10 ], [ 1 << 20, 1 << 20 ],
    [ (1 << 20) + 1, (1 << 20) + $page ], [ 64 << 20, 64 << 20 ])
{
    my ($size, $bytes) = @$_;
    is stack_of($size), "$bytes rw-p below " . (1 << 20) . ' ---p',
        'stack size ' . ($size // 'undef') . ': private, read and write, not executable, a guard below';
}

# No GROWSDOWN: the kernel marks it gd in smaps.
unlike result(sub {
    my ($stack, $flags);
    for (split /\n/, slurp('/proc/self/smaps')) {
        $stack = hex($2) - hex($1) == 5 << 20 if /^(\w+)-(\w+) rw-p/;
        $flags = $_ if $stack && /^VmFlags/;
    }
    return $flags // 'none';
}, 0, 5 << 20), qr/^none|\bgd\b/, 'it does not grow';

# It costs no memory until it is used.
{
    my $rss = result(sub { status_field('VmRSS') }, 0, 1 << 30);
    my $own = status_field('VmRSS');
    cmp_ok $rss, '<', $own + (64 << 10), 'a stack of 1 GB is not filled';
}

# This process keeps one stack of the default size; from here on it has that.
status(sub { 1 });

# An overflow ends the child, and nothing else.
{
    my $stacks = stacks();
    my ($output, $status) = perl_output(<<'PERL');
        use Linux::Clone;
        $SIG{SEGV} = 'DEFAULT';
        my $data = 'untouched' x 1000;
        # each turn of a sort block that calls itself takes C stack
        sub down { my $n = shift; my @s = sort { down($n + 1); 0 } 1, 2; return }
        my $pid = Linux::Clone::clone(sub { no warnings 'recursion'; down(0); 1 }, 1, 17);
        waitpid $pid, 0;
        print $? & 127, ' ', $data eq 'untouched' x 1000 ? 'intact' : 'broken';
PERL
    is $output, POSIX::SIGSEGV() . ' intact', 'an overflow kills the child with SIGSEGV and touches nothing of the parent';
    is stacks(), $stacks, 'its stack is gone';
}

# It is always unmapped in the parent.
{
    my $stacks = stacks();
    for my $end (sub { 1 }, sub { kill KILL => $$ }, sub { POSIX::_exit(0) }) {
        status($end) for 1 .. 3;
    }
    my $pid = spawn(sub { sleep 10 });
    is stacks(), $stacks, 'while the child still runs';
    kill KILL => $pid;
    CloneTest::reap($pid);
    is Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::SIGHAND), -1, 'a refused call';
    is stacks(), $stacks, 'leaves none';
    eval { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::VM) };
    is stacks(), $stacks, 'nor a croak';
    status(sub { 1 }, 0, $_ << 20) for 1 .. 8;
    is stacks(), $stacks, 'of other sizes none is kept';
    status(sub { spawn(sub { 1 }); 1 while wait > 0; 1 });
    is stacks(), $stacks, 'nor of nested calls';
}

# RLIMIT_AS: the kernel refuses the mapping.
{
    my ($output) = perl_output(<<'PERL', $^X, map { "-I$_" } @INC);
        use Config;
        exec 'sh', '-c', 'ulimit -v 200000 && exec "$@"', 'sh', @ARGV, '-MLinux::Clone', '-e', <<'E' or print "exec: $!";
            $! = 0;
            my $pid = Linux::Clone::clone(sub { 1 }, 1 << 30, 17);
            print $pid, ' ', $! + 0, ' ';
            $pid = Linux::Clone::clone(sub { 7 }, 0, 17);
            waitpid $pid, 0;
            print $? >> 8;
E
PERL
    is $output, '-1 ' . ENOMEM . ' 7', 'a stack beyond RLIMIT_AS: -1 with ENOMEM, and a small one works after it';
}

# Perl finds room on it.
is status(sub { my $re = '(' x 200 . 'a' . ')' x 200; 'a' =~ /^$re$/ ? 70 : 71 }, 0, 1), 'exit 70', 'a regex on the least stack';
is status(sub { require Math::BigInt; Math::BigInt->new(2)->bpow(10) == 1024 ? 72 : 73 }, 0, 1), 'exit 72', 'a module on it';
is status(sub { my @a = sort { $a <=> $b } map { $_ * 7 % 1000 } 1 .. 10_000; $a[0] ? 74 : 75 }, 0, 1), 'exit 75', 'a sort on it';
is status(sub { my $e = eval '1 + ' x 200 . '1'; $e == 201 ? 76 : 77 }, 0, 1), 'exit 76', 'a string eval on it';

done_testing;
