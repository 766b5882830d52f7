# unshare(2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use POSIX qw(EINVAL EPERM);
use ProcessTest qw(%namespace_file);

is prototype('Linux::Clone::unshare'), '@', 'the prototype';
is Linux::Clone::unshare(0), 0, 'unshare(0)';
is Linux::Clone::unshare("0"), 0, 'a numeric string';
is Linux::Clone::unshare(0.0), 0, 'a float';

{
    local $! = 5;
    local $@ = 'kept';
    is Linux::Clone::unshare(0), 0, 'success';
    is $! + 0, 5, '$! stays';
    is $@, 'kept', '$@ stays';
}

# Without parentheses.
{
    my $files = Linux::Clone::FILES;
    my $retval = Linux::Clone::unshare Linux::Clone::FILES | Linux::Clone::FS;
    is $retval, 0, 'unshare A | B is unshare(A | B)';
    $retval = Linux::Clone::unshare $files | 1 << 40;
    is $retval, -1, 'the second bit is seen';
    is $! + 0, EINVAL, 'and refused by the kernel';
    my $survived = 0;
    Linux::Clone::unshare Linux::Clone::FS and die 'unshare failed';
    $survived++;
    Linux::Clone::unshare 1 << 40 or die 'not reached';
    $survived++;
    is $survived, 2, 'unshare A and ..., unshare A or ...';
    my @list = (Linux::Clone::unshare(0), Linux::Clone::unshare(0));
    is_deeply \@list, [ 0, 0 ], 'one value each in a list';
}

# What it makes is real.
my %file = (%namespace_file, NEWPID => 'pid_for_children', NEWTIME => 'time_for_children');
for my $name (sort keys %file) {
    my $file = $file{$name};
    SKIP: {
        my $flag = Linux::Clone->can($name)->();
        needs(namespace_flags(0), 1) if namespace_flags(0);
        my $seen = result(sub {
            my $before = readlink "/proc/self/ns/$file" or return "no namespace file: $!";
            my $retval = Linux::Clone::unshare namespace_flags($flag);
            return "errno " . ($! + 0) if $retval != 0;
            my $after = readlink "/proc/self/ns/$file" // '';
            return $before ne $after ? 'new' : 'the same';
        });
        skip "the kernel has no $name namespaces: $seen", 1 if $seen eq 'errno ' . EINVAL || $seen =~ /^no namespace/;
        is $seen, 'new', "unshare $name";
    }
}
SKIP: {
    needs(namespace_flags(0), 1) if namespace_flags(0);
    is result(sub {
        Linux::Clone::unshare(namespace_flags(Linux::Clone::NEWNET)) == 0 or return "unshare: $!";
        return join ' ', interfaces();
    }), 'lo', 'a new network namespace has lo alone';
}
SKIP: {
    needs(Linux::Clone::NEWUSER, 1);
    my ($uid, $gid) = ($>, $) + 0);
    is result(sub {
        Linux::Clone::unshare(Linux::Clone::NEWUSER) == 0 or return "unshare: $!";
        write_maps($uid, $gid);
        return "$> $<";
    }), '0 0', 'root in a user namespace of its own';
}
SKIP: {
    skip 'root is allowed all', 2 if $> == 0;
    is Linux::Clone::unshare(Linux::Clone::NEWNS), -1, 'without privilege: -1';
    is $! + 0, EPERM, 'EPERM';
}

# Unknown bits and odd numbers.
for my $flags (1 << 40, 1 << 62, -1, ~0, Linux::Clone::SYSVSEM | 1 << 33) {
    is Linux::Clone::unshare($flags), -1, "unshare($flags)";
    is $! + 0, EINVAL, 'the kernel says EINVAL';
}

# Not flags at all.
for my $bad ([ undef, 'undef' ], [ 'x', 'the string "x"' ], [ '', 'the string ""' ], [ '4x', 'the string "4x"' ],
    [ 1.5, '1.5' ], [ [], 'a reference to an ARRAY' ], [ sub { }, 'a reference to a CODE' ],
    [ *STDOUT, 'the glob *main::STDOUT' ], [ bless({}, 'Some'), 'an object of class Some' ])
{
    my ($flags, $text) = @$bad;
    ok !eval { Linux::Clone::unshare($flags); 1 }, "unshare($text)";
    like $@, qr/^Linux::Clone::unshare: \$flags must be an integer, not \Q$text\E at \Q$0\E line \d+\.$/, 'croaks';
}
for my $huge (1e30, -1e30, 18446744073709551616) {
    ok !eval { Linux::Clone::unshare($huge); 1 }, "unshare($huge)";
    like $@, qr/^Linux::Clone::unshare: \$flags is out of range/, 'croaks';
}
for my $odd (9**9**9, -9**9**9, -sin 9**9**9) {
    ok !eval { Linux::Clone::unshare($odd); 1 }, "unshare($odd)";
    like $@, qr/^Linux::Clone::unshare: \$flags must be an integer/, 'croaks';
}
for my $wrong (sub { Linux::Clone::unshare() }, sub { Linux::Clone::unshare(1, 2) }, sub { my @n = (0, 0); Linux::Clone::unshare @n }) {
    ok !eval { $wrong->(); 1 }, 'a wrong number of arguments';
    like $@, qr/^Usage: Linux::Clone::unshare\(flags\) at /, 'is a usage error';
}

done_testing;
