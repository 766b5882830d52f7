# $ptid, $tls, $ctid and the flags that they belong to.
use strict;
use warnings;
no warnings 'portable';    # addresses have more than 32 bits
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Config;
use POSIX qw(SIGCHLD EINVAL);

my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
my ($settid, $cleartid) = (Linux::Clone::CHILD_SETTID, Linux::Clone::CHILD_CLEARTID);

# clone with the six arguments, to its end.
sub run {
    my ($code, $flags) = @_;
    my $pid = Linux::Clone::clone($code, 0, SIGCHLD | $flags, undef, $_[2], $_[3]);
    return "errno " . ($! + 0) if $pid == -1;
    return CloneTest::reap($pid);
}

# ---- CHILD_SETTID, a variable ----

for my $flags (0, $shared) {
    my $kind = $flags ? 'in shared memory' : 'in a copy';
    my $ctid;
    is run(sub { $ctid == $$ ? 3 : 4 }, $settid | $flags, undef, $ctid), 'exit 3', "CHILD_SETTID $kind: \$ctid is the child's thread id before the coderef runs";
    $ctid = 1234;
    is run(sub { $ctid == $$ ? 3 : 4 }, $settid | $flags, undef, $ctid), 'exit 3', 'whatever thread id it held';
    my @array;
    is run(sub { $array[2] == $$ ? 3 : 4 }, $settid | $flags, undef, $array[2]), 'exit 3', 'an element';
    is run(sub { $! = 0; $array[2] == $$ ? $! + 5 : 4 }, $settid | $flags, undef, $array[2]), 'exit 5', '$! is left';
    SKIP: {
        my $namespace = namespace_flags(Linux::Clone::NEWPID);
        needs($namespace, 1);
        is run(sub { $ctid }, $settid | $flags | $namespace, undef, $ctid), 'exit 1', 'in its own PID namespace';
    }
}
{
    my $ctid = 'kept';
    run(sub { 0 }, $settid, undef, $ctid);
    is $ctid, 'kept', "a copy: the parent's variable stays";
    my $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD | $settid | $shared, undef, undef, $ctid);
    CloneTest::reap($pid);
    is $ctid, $pid, 'shared memory: it is the variable of both';
    package Stored { our @values; sub TIESCALAR { bless [] } sub FETCH { 0 } sub STORE { push @values, $_[1] } }
    package Dying  { sub TIESCALAR { bless [] } sub FETCH { 0 } sub STORE { die "no store\n" } }
    tie my $tied, 'Stored';
    is run(sub { @Stored::values == 1 && $Stored::values[0] == $$ ? 3 : 4 }, $settid, undef, $tied), 'exit 3', 'a tied variable';
    tie my $dying, 'Dying';
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; $| = 1;
        package Dying { sub TIESCALAR { bless [] } sub FETCH { 0 } sub STORE { die "no store\n" } }
        tie my $dying, 'Dying';
        for my $flags (0, Linux::Clone::VM | Linux::Clone::VFORK) {
            $! = 0;
            my $pid = eval { Linux::Clone::clone(sub { print "not reached\n"; 0 }, 0, 17 | Linux::Clone::CHILD_SETTID | $flags, undef, undef, $dying) };
            waitpid $pid, 0;
            print $? >> 8, "\n";
        }
PERL
    is $output, "no store\n255\nno store\n255\n", 'one that dies is as if the coderef did';
}

# ---- CHILD_CLEARTID, a variable ----

{
    my $ctid = 'kept';
    is run(sub { 0 }, $cleartid, undef, $ctid), 'exit 0', 'CHILD_CLEARTID in a copy';
    is $ctid, 'kept', "clears the child's";
    for my $end (sub { 0 }, sub { exec 'true' }, sub { kill KILL => $$; sleep 9 }) {
        my $inside;
        run(sub { $inside = $ctid; $end->() }, $settid | $cleartid | $shared, undef, $ctid);
        cmp_ok $inside, '>', 1, 'in shared memory: set in the child';
        is $ctid, 0, 'and 0 in the parent afterwards';
    }
}

# ---- an address: the kernel's, in a shared mapping, with a futex ----

SKIP: {
    my ($mmap, $futex, $munmap) = map { nr($_) } qw(mmap futex munmap);
    skip "no system call numbers for $Config{archname}", 12 if !defined $mmap;
    my ($page, $prot, $map_shared_anonymous) = (4096, 3, 0x21);
    my $address = syscall $mmap, 0, $page, $prot, $map_shared_anonymous, -1, 0;
    skip kernel_refuses('mmap'), 12 if $address == -1;
    my $word = sub { unpack 'l', unpack "P4", pack 'J', $address };

    for my $flags (0, $shared) {
        my $pid = Linux::Clone::clone(sub { $word->() == $$ ? 3 : 4 }, 0, SIGCHLD | $settid | $flags, undef, undef, $address);
        is CloneTest::reap($pid), 'exit 3', 'CHILD_SETTID with an address: the kernel has written there';
        is $word->(), $pid, 'for the parent, too';
        $pid = Linux::Clone::clone(sub { $word->() == $$ ? 3 : 4 }, 0, SIGCHLD | $settid | $cleartid | $flags, undef, undef, $address);
        is CloneTest::reap($pid), 'exit 3', 'with CHILD_CLEARTID';
        # a copy's word is cleared by the kernel only where somebody else has the memory
        is $word->(), $flags ? 0 : $pid, $flags ? 'it is cleared at the end' : 'nobody shares the memory of a copy: it stays';
    }
    # A futex: another process sleeps on the word until the child lets go of it. (The kernel clears
    # it only where the child's memory is shared with somebody: clone(2) says "thread".)
    SKIP: {
        skip 'valgrind shares no memory, so nobody would be woken', 2 if $CloneTest::beyond_valgrind;
        my $waiter = fork // die "fork: $!";
        if (!$waiter) {
            my $value;
            select undef, undef, undef, 0.001 while !($value = $word->());
            syscall $futex, $address, 0, $value, 0;
            POSIX::_exit($word->() == 0 ? 7 : 8);
        }
        my $pid = Linux::Clone::clone(sub { select undef, undef, undef, 0.3; 5 }, 0, SIGCHLD | $settid | $cleartid | $shared, undef, undef, $address);
        is CloneTest::reap($pid), 'exit 5', 'a child on whose word another process sleeps';
        is CloneTest::reap($waiter), 'exit 7', 'wakes it when it ends';
    }
    syscall $munmap, $address, $page;
    ok !eval { Linux::Clone::clone(sub { 0 }, 0, SIGCHLD | $settid, undef, undef, $address); 1 }, 'an address without memory';
    like $@, qr/^Linux::Clone::clone: \$ctid is no address of a word in memory: $address at /, 'croaks';
}

# ---- refused ----

for my $case (
    [ $settid,   undef, 'CHILD_SETTID needs $ctid' ],
    [ $cleartid, undef, 'CHILD_CLEARTID needs $ctid' ],
    [ $settid,   \"constant", '$ctid is neither a variable nor an address: the string "constant"' ],
    [ $settid,   \5, '$ctid is neither a variable nor an address: 5' ],
    [ $settid,   \((1 << 40) + 2), '$ctid is no address of a word in memory: ' . ((1 << 40) + 2) ],
    [ $settid,   \1e30, '$ctid is no address of a word in memory: 1e+30' ],
  )
{
    my ($flags, $ctid, $message) = @$case;
    ok !eval { $ctid ? Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | $flags, undef, undef, $$ctid) : Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | $flags); 1 },
        $message;
    like $@, qr/^Linux::Clone::clone: \Q$message\E at /, 'croaks';
}
ok !eval { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::SETTLS); 1 }, 'SETTLS without $tls';
like $@, qr/^Linux::Clone::clone: SETTLS needs \$tls at /, 'croaks';
ok !eval { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::SETTLS | $shared, undef, 4096 * 100); 1 }, 'SETTLS with VM';
like $@, qr/^Linux::Clone::clone: SETTLS with VM would give one interpreter two thread-local storages; /, 'croaks';
for my $tls (0, 5, 'x', 1 << 62, [], -1) {
    ok !eval { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::SETTLS, undef, $tls); 1 }, 'a $tls that is none';
    like $@, qr/^Linux::Clone::clone: \$tls (?:is no address in memory|must be the 16 bytes)/, 'croaks';
}
is wait, -1, 'no refused call has created a process';

# ---- SETTLS: a copy of this thread's block, in which what points into it points into the copy ----

SKIP: {
    $Config{archname} =~ /^x86_64/ or skip "this test knows the thread-local storage of x86-64 only, not of $Config{archname}", 5;
    skip 'AddressSanitizer forbids to read a block that is no object', 5 if $ENV{UNDER_SANITIZER};
    my ($arch_prctl, $get_fs) = (158, 0x1003);
    my $fs_base = sub { my $buffer = pack 'Q', 0; syscall($arch_prctl, $get_fs, $buffer) == 0 or die "arch_prctl: $!"; unpack 'Q', $buffer };
    my $fs = $fs_base->();
    my ($start, $end) = map { my ($from, $to) = /^(\w+)-(\w+) rw/ ? (hex $1, hex $2) : (0, 0); $from <= $fs && $fs < $to ? ($from, $to) : () } mappings();
    $start = $fs - 16384 if $start < $fs - 16384;
    $end = $fs + 8192 if $end > $fs + 8192;
    my $size = $end - $start;
    my $block = "\0" x ($size + 4096);
    my $at = unpack 'J', pack 'p', $block;
    my $shift = -($at - $start) % 4096;    # as it was to the page, so aligned as it was
    my $new = $at + $shift;
    my $copy = unpack "P$size", pack 'J', $start;
    my @words = unpack 'Q*', $copy;
    for (@words) { $_ += $new - $start if $_ >= $start && $_ < $end }
    substr $block, $shift, $size, pack 'Q*', @words;
    my $tls = $fs + $new - $start;

    isnt $tls, $fs, 'another place';
    my $pid = Linux::Clone::clone(sub { $fs_base->() == $tls ? 3 : 4 }, 0, SIGCHLD | Linux::Clone::SETTLS, undef, $tls);
    is CloneTest::reap($pid), 'exit 3', 'SETTLS: the child runs with it';
    $pid = Linux::Clone::clone(sub { my %h = map { ($_ => [ 1 .. 3 ]) } 1 .. 1000; my $text = join ',', sort keys %h; open my $fh, '<', '/proc/self/stat' or die; my $line = <$fh>; $! = 2; length "$!" && $text =~ /999$/ && $line ? 5 : 6 }, 0, SIGCHLD | Linux::Clone::SETTLS, undef, $tls);
    is CloneTest::reap($pid), 'exit 5', 'and does its work';
    $pid = Linux::Clone::clone(sub { status(sub { 7 }) eq 'exit 7' ? 7 : 8 }, 0, SIGCHLD | Linux::Clone::SETTLS, undef, $tls);
    is CloneTest::reap($pid), 'exit 7', 'also with a child of its own';
    is $fs_base->(), $fs, "the parent's is as before";
}

done_testing;
