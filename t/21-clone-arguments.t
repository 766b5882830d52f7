# What clone takes, and what it says to the rest: in the parent, before anything is created.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use B ();
use POSIX qw(SIGCHLD ENOMEM EINVAL);

my $prototype = prototype 'Linux::Clone::clone';
is $prototype, '$$$;$$$', 'the prototype';

# ---- $coderef ----

package Callable { use overload '&{}' => sub { my $self = shift; sub { $$self } }, fallback => 1 }
package Dies     { use overload '&{}' => sub { die "no code here\n" } }
package NoCode   { use overload '&{}' => sub { [] } }
package Loader   { our $AUTOLOAD; sub AUTOLOAD { $AUTOLOAD eq 'Loader::stub' ? 46 : 0 } sub stub }
package Inherits { our @ISA = 'Loader' }
package main;

sub named { 41 }
sub Other::named { 42 }
my $status = 43;

is status(sub { 40 }),                     'exit 40', 'an anonymous sub';
is status(\&named),                        'exit 41', 'a reference to a named one';
is CloneTest::reap(Linux::Clone::clone('named', 0, SIGCHLD)), 'exit 41', 'its name, looked up in the package of the caller';
is status('main::named'),                  'exit 41', 'its full name';
is status('Other::named'),                 'exit 42', 'one of another package';
is status("::named"),                      'exit 41', 'with leading colons';
is status(*named),                         'exit 41', 'its glob';
is status(\*named),                        'exit 41', 'a reference to its glob';
is status(sub { $status }),                'exit 43', 'a closure';
is status(bless \(my $x = 44), 'Callable'), 'exit 44', 'an object that overloads &{}';
is status(\&Loader::stub),                 'exit 46', 'a declared sub with an AUTOLOAD';
is status('Linux::Clone::PARENT'),         'exit 0',  'a constant, 0x8000: its low eight bits';
{
    my $lexical = 'named';
    my $pid = Linux::Clone::clone $lexical, 0, SIGCHLD;
    is CloneTest::reap($pid), 'exit 41', 'a name in a variable';
    $pid = Linux::Clone::clone \&named, 0, SIGCHLD;
    is CloneTest::reap($pid), 'exit 41', 'without parentheses';
    my $retval = Linux::Clone::clone sub { 47 }, 0, Linux::Clone::SYSVSEM | SIGCHLD;
    is CloneTest::reap($retval), 'exit 47', 'with an inline sub and flags';
    $pid = &Linux::Clone::clone(\&named, 0, SIGCHLD);
    is CloneTest::reap($pid), 'exit 41', 'past the prototype';
}
{
    package Magic { sub TIESCALAR { my ($c, @v) = @_; bless [@v], $c } sub FETCH { shift @{ $_[0] } } }
    tie my $tied, 'Magic', sub { 48 }, sub { 49 };
    is status($tied), 'exit 48', 'a tied scalar, read once';
}
sub dispatch { goto &Linux::Clone::clone }
is CloneTest::reap(dispatch(sub { 50 }, 0, SIGCHLD)), 'exit 50', 'by goto &';

# A closure lives as long as the child needs it, and is freed in the parent.
{
    my $freed = 0;
    package Witness { sub DESTROY { $freed++ } }
    my $pid = do {
        my $witness = bless [], 'Witness';
        CloneTest::spawn(sub { select undef, undef, undef, 0.05; ref $witness eq 'Witness' ? 51 : 1 });
    };
    is $freed, 1, 'the closure is freed in the parent once it is not needed there';
    is CloneTest::reap($pid), 'exit 51', 'and lives on in the child';
    my $code = sub { 52 + $freed - $freed };
    my $count = B::svref_2object($code)->REFCNT;
    is status($code), 'exit 52', 'a coderef that the caller keeps';
    is B::svref_2object($code)->REFCNT, $count, 'its reference count is as before';
    sub named_later { undef *named_later; undef &named_later; 53 }
    is status(\&named_later), 'exit 53', 'a sub that undefines itself';
}

# ---- what is no code ----

my $before = children();
my $fds  = descriptors();
my $stacks = stacks();
sub undefined;
my $name = 'Linux::Clone::clone';
for my $bad (
    [ undef,                   'undef' ],
    [ 17,                      '17' ],
    [ '',                      'the string ""' ],
    [ 'nosuch',                'the string "nosuch"' ],
    [ 'No::Such::sub',         'the string "No::Such::sub"' ],
    [ [],                      'a reference to an ARRAY' ],
    [ {},                      'a reference to a HASH' ],
    [ \'named',                'a reference to a SCALAR' ],
    [ qr/x/,                   'an object of class Regexp' ],
    [ *STDERR,                 'the glob *main::STDERR' ],
    [ \&undefined,             'a reference to a CODE' ],
    [ \&No::Such::thing,       'a reference to a CODE' ],
    [ (bless [], 'Nothing'),   'an object of class Nothing' ],
    [ "na\0med",               'the string "na\0med"' ],
    [ "\x{20ac}",              'the string "\x{20ac}"' ],
  )
{
    my ($value, $text) = @$bad;
    ok !eval { Linux::Clone::clone($value, 0, SIGCHLD); 1 }, "$text is no code";
    like $@, qr/^Linux::Clone::clone: \$coderef must be a CODE reference or the name of a defined sub, not \Q$text\E at \Q$0\E line \d+\.$/,
        'and the message names it';
}
{
    # things that are hard to describe
    my $homeless = bless [], 'Foo::Gone';
    { no warnings; undef %Foo::Gone::; delete $Foo::{'Gone::'} }
    my $glob = do { no strict 'refs'; *{'Foo::Other::thing'} };
    delete $Foo::{'Other::'};
    my $malformed = "ab\xe2\x82";
    require Encode;
    Encode::_utf8_on($malformed);
    my $warned = 0;
    local $SIG{__WARN__} = sub { $warned++; die "a warning\n" };
    for my $odd ($homeless, $glob, \$glob, $malformed, "\xe2$malformed") {
        ok !eval { Linux::Clone::clone($odd, 0, SIGCHLD); 1 }, 'an odd thing is no code';
        like $@, qr/^Linux::Clone::clone: \$coderef must be a CODE reference or the name of a defined sub, not (?:an object|the glob|a reference|the string)/,
            'and the message says what it can';
    }
    is $warned, 0, 'without a warning';
}
ok !eval { Linux::Clone::clone((bless [], 'Dies'), 0, SIGCHLD); 1 }, 'an object whose &{} dies';
is $@, "no code here\n", 'says what it says';
ok !eval { Linux::Clone::clone((bless [], 'NoCode'), 0, SIGCHLD); 1 }, 'one whose &{} gives no code';
like $@, qr/Overloaded dereference did not return a reference|must be a CODE reference|not a CODE reference/i, 'croaks';
ok !defined &nosuch, 'asking defines no sub';

# ---- $stacksize ----

for my $size (0, undef, 1, 4096, 256 << 10, (256 << 10) + 1, 1 << 20, '1048576', ' 1048576 ', 1e6, 1 << 30) {
    is status(sub { 60 }, 0, $size), 'exit 60', 'stack size ' . ($size // 'undef');
}
for my $bad ([ 'x', 'the string "x"' ], [ '', 'the string ""' ], [ '4k', 'the string "4k"' ], [ 1.5, '1.5' ],
    [ [], 'a reference to an ARRAY' ], [ sub { }, 'a reference to a CODE' ], [ *STDOUT, 'the glob *main::STDOUT' ])
{
    my ($value, $text) = @$bad;
    ok !eval { Linux::Clone::clone(sub { 1 }, $value, SIGCHLD); 1 }, "stack size $text";
    like $@, qr/^Linux::Clone::clone: \$stacksize must be an integer, not \Q$text\E at /, 'croaks';
}
for my $odd (9**9**9, -9**9**9, -sin 9**9**9) {
    ok !eval { Linux::Clone::clone(sub { 1 }, $odd, SIGCHLD); 1 }, "stack size $odd";
    like $@, qr/^Linux::Clone::clone: \$stacksize must be an integer, not /, 'croaks';
}
for my $negative (-1, -4096, -9223372036854775808, '-1', -1e30, -1e300) {
    ok !eval { Linux::Clone::clone(sub { 1 }, $negative, SIGCHLD); 1 }, "stack size $negative";
    like $@, qr/^Linux::Clone::clone: \$stacksize is negative: -\d+ at /, 'croaks';
}
for my $huge (1 << 60, 9223372036854775807, 18446744073709551615, ~0 - 4095, 1e30, 1e300, 1 << 47) {
    $! = 0;
    is Linux::Clone::clone(sub { 1 }, $huge, SIGCHLD), -1, "stack size $huge: -1";
    is $! + 0, ENOMEM, 'ENOMEM';
}

# ---- $flags ----

for my $bad ([ undef, 'undef' ], [ 'x', 'the string "x"' ], [ 1.5, '1.5' ], [ [], 'a reference to an ARRAY' ]) {
    my ($value, $text) = @$bad;
    ok !eval { Linux::Clone::clone(sub { 1 }, 0, $value); 1 }, "flags $text";
    like $@, qr/^Linux::Clone::clone: \$flags must be an integer, not \Q$text\E at /, 'croaks';
}
ok !eval { Linux::Clone::clone(sub { 1 }, 0, 1e30); 1 }, 'flags out of range';
like $@, qr/^Linux::Clone::clone: \$flags is out of range: 1e\+30 at /, 'croak';
for my $wide (1 << 32, -1, ~0, SIGCHLD | 1 << 40) {
    ok !eval { Linux::Clone::clone(sub { 1 }, 0, $wide); 1 }, "flags $wide";
    like $@, qr/^Linux::Clone::clone: \$flags has bits above the 32 that clone\(2\) reads: 0x/, 'croak';
}
my %refused = (
    'VM'             => qr/VM without VFORK .* two processes in one interpreter/,
    'VM|SIGHAND'     => qr/VM without VFORK /,
    'VM|SIGHAND|THREAD' => qr/VM without VFORK /,
    'NEWTIME'        => qr/clone\(2\) has no NEWTIME/,
);
for my $names (sort keys %refused) {
    my $flags = SIGCHLD;
    $flags |= Linux::Clone->can($_)->() for split /\|/, $names;
    ok !eval { Linux::Clone::clone(sub { 1 }, 0, $flags); 1 }, "$names is refused";
    like $@, qr/^Linux::Clone::clone: $refused{$names}/, 'by a sentence that says why';
}
ok !eval { Linux::Clone::clone(sub { 1 }, 0, 65); 1 }, 'an exit signal that does not exist';
like $@, qr/^Linux::Clone::clone: the exit signal in \$flags is 65, but signals end at 64 at /, 'croaks';
for my $flags (Linux::Clone::SIGHAND, Linux::Clone::THREAD, Linux::Clone::NEWNS | Linux::Clone::FS) {
    next if $flags & $CloneTest::beyond_valgrind;
    $! = 0;
    is Linux::Clone::clone(sub { 1 }, 0, $flags | SIGCHLD), -1, sprintf 'flags %#x: the kernel decides', $flags;
    is $! + 0, EINVAL, 'EINVAL';
}

# ---- $ptid, $tls, $ctid ----

{
    my ($ptid, @array, %hash);
    my $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $ptid);
    CloneTest::reap($pid);
    is $ptid, $pid, '$ptid gets the thread id, without PARENT_SETTID';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD | Linux::Clone::PARENT_SETTID, $array[3]);
    CloneTest::reap($pid);
    is $array[3], $pid, 'an element that was not there, with PARENT_SETTID';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $hash{a}{b}, undef, undef);
    CloneTest::reap($pid);
    is $hash{a}{b}, $pid, 'one of a hash; all six arguments';
    tie my $tied, 'Stored';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $tied);
    CloneTest::reap($pid);
    is_deeply \@Stored::values, [$pid], 'a tied one is stored to once';
    my $string = 'pid: ?';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, substr $string, 5);
    CloneTest::reap($pid);
    is $string, "pid: $pid", 'a substr';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, undef);
    is CloneTest::reap($pid), 'exit 0', 'the constant undef stands for none';
    my $old = my $reused = 'x' x 100;
    $pid = Linux::Clone::clone(sub { $reused eq 'x' x 100 ? 0 : 1 }, 0, SIGCHLD, $reused);
    is CloneTest::reap($pid), 'exit 0', 'in the child it stays as it was';
    is $reused, $pid, 'in the parent it is the thread id';
    $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, my $unused, 1, my $ctid = 'kept');
    CloneTest::reap($pid);
    is $ctid, 'kept', '$tls and $ctid are accepted without their flags';
}
{
    package Stored;
    our @values;
    sub TIESCALAR { bless [] }
    sub FETCH     { undef }
    sub STORE     { push @values, $_[1] }
}
for my $readonly (sub { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, 5) },
    sub { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, 'text') },
    sub { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, ${ \SIGCHLD }) },
    sub { my $v = 1; Internals::SvREADONLY($v, 1); Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, $v) })
{
    ok !eval { $readonly->(); 1 }, 'a read-only $ptid';
    like $@, qr/^Linux::Clone::clone: \$ptid cannot be assigned to: it is read-only or a glob \(/, 'croaks';
}
for my $refusing (sub { 'abc' =~ /(b)/; Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, $1) },
    sub { 'abc' =~ /b/; Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, $&) },
    sub { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD, *STDOUT) })
{
    ok !eval { $refusing->(); 1 }, 'a $ptid whose magic refuses';
    like $@, qr/Modification of a read-only value|read-only or a glob/, 'croaks';
    is wait, -1, 'before there is a child';
}
{
    local $ENV{PTID} = 'old';
    my $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $ENV{PTID});
    CloneTest::reap($pid);
    is `echo \$PTID`, "$pid\n", 'a magical one that does not';
}
ok !eval { Linux::Clone::clone(sub { 1 }, 0, SIGCHLD | Linux::Clone::PIDFD); 1 }, 'PIDFD without $ptid';
like $@, qr/^Linux::Clone::clone: PIDFD needs \$ptid: it receives the descriptor at /, 'croaks';
{
    package DiesOnStore { sub TIESCALAR { bless [] } sub FETCH { 1 } sub STORE { die "no store\n" } }
    tie my $tied, 'DiesOnStore';
    my $parent = $$;
    ok !eval { Linux::Clone::clone(sub { 61 }, 0, SIGCHLD, $tied); 1 }, 'a $ptid whose STORE dies';
    is $@, "no store\n", 'says what it says';
    my $child = wait;
    is $? >> 8, 61, 'the child runs all the same';
    ok !eval { Linux::Clone::clone(sub { 62 }, 0, SIGCHLD | Linux::Clone::PIDFD, $tied); 1 }, 'with PIDFD too';
    wait;
    is descriptors(), $fds, 'and the descriptor is closed';
}

# ---- the number of arguments ----

for my $n (0, 1, 2, 7) {
    my @arguments = (sub { 1 }, 0, SIGCHLD, (undef) x 4)[ 0 .. $n - 1 ];
    ok !eval { &Linux::Clone::clone(@arguments); 1 }, "$n arguments";
    like $@, qr/^Usage: Linux::Clone::clone\(coderef, stacksize, flags, ptid = undef, tls = undef, ctid = undef\) at /,
        'are a usage error';
}

is children(), $before, 'no refused call has created a process';
is descriptors(), $fds, 'or left a descriptor';
is stacks(), $stacks, 'or a stack';

done_testing;
