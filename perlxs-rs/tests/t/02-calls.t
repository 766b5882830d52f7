# XSUBs and callbacks: what dies, exits, leaves by `last`, panics; destructors counted each time.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test qw(call catch croaks panics count late dropped);

package Code { use overload '&{}' => sub { my $self = shift; sub { "overloaded @_ $$self" } }, fallback => 1 }
package DyingCode { use overload '&{}' => sub { die "no code\n" } }
package False { use overload 'bool' => sub { 0 }, '""' => sub { '' } }
package Loading { our $AUTOLOAD; sub AUTOLOAD { return "autoloaded $AUTOLOAD" } sub stub; }

package main;

sub named { return "named @_" }
sub undefined;

is call(sub { "got @_" }, 1, 2), 'got 1 2', 'a coderef';
is call(\&named, 3), 'named 3', 'a reference to a named sub';
is call('named', 3), 'named 3', 'its name';
is call('main::named', 3), 'named 3', 'its full name';
is call(*named, 3), 'named 3', 'its glob';
is call(\*named, 3), 'named 3', 'a reference to its glob';
is call((bless \(my $x = 'x'), 'Code'), 4), 'overloaded 4 x', 'an object';
is call(\&count, 1 .. 3), 3, 'an XSUB';
is call(\&Loading::stub), 'autoloaded Loading::stub', 'a stub with an AUTOLOAD';
is call(sub { my @a = (4, 5); @a }), 2, 'scalar context';
is call(sub { return }), undef, 'nothing';
is call(sub { wantarray }), '', 'wantarray';
is call(sub { (caller 0)[3] }), 'main::__ANON__', 'caller';
is count(1 .. 100), 100, 'a hundred arguments';
is call(sub { scalar @_ }, 1 .. 100), 100, 'passed on';
is_deeply [ map { call(sub { $_[0] * 2 }, $_) } 1 .. 3 ], [ 2, 4, 6 ], 'in a map';
is call(sub { call(sub { call(sub { 'deep' }) }) }), 'deep', 'nested';

for ([ undef, 'undef' ], [ 5, '5' ], [ '', 'the string ""' ], [ 'nosuch', 'the string "nosuch"' ],
    [ [], 'a reference to an ARRAY' ], [ \*STDERR, 'a reference to a GLOB' ], [ \'named', 'a reference to a SCALAR' ],
    [ \&undefined, 'a reference to a CODE' ], [ *STDERR, 'the glob *main::STDERR' ])
{
    my ($value, $text) = @$_;
    ok !eval { call($value); 1 }, "$text is no code";
    like $@, qr/^not code: \Q$text\E at \Q$0\E line \d+\.$/, 'and says so';
}
ok !eval { call(bless [], 'DyingCode'); 1 }, 'a &{} that dies';
is $@, "no code\n", 'is heard';

is drops { eval { call(sub { die "a\n" }) } }, 1, 'a callback that dies: dropped';
is $@, "a\n", 'its exception';
is drops { eval { call(sub { die [7] }) } }, 1, 'with a reference: dropped';
is $@->[0], 7, 'the reference';
is drops { catch(sub { die "b\n" }) }, 1, 'caught in Rust: dropped';
is catch(sub { die "b\n" }), "b\n", 'the exception';
{
    my $false = catch(sub { die bless [], 'False' });
    is ref $false, 'False', 'an exception that is false is one';
    $@ = 'kept';
    catch(sub { die "c\n" });
    is $@, 'kept', 'caught in Rust: $@ stays';
    my $hooked;
    local $SIG{__DIE__} = sub { $hooked .= "[$_[0]]" };
    catch(sub { die "d\n" });
    is $hooked, "[d\n]", 'the die hook runs once';
}
{
    my $destroyed = 0;
    package Destroyed { sub DESTROY { $destroyed++ } }
    catch(sub { my $object = bless []; bless $object, 'Destroyed'; die "e\n" });
    is $destroyed, 1, 'what the callback owned is freed once';
    call(sub { return bless [], 'Destroyed' });
    is $destroyed, 2, 'what it returned, too';
}

# Loop control finds nothing of the caller's.
for my $leave (qw(last next redo), 'last OUTER', 'goto OUTER', 'goto AFTER') {
    my ($turns, $error) = (0, '');
    my $drops = drops {
      OUTER: for my $turn (1 .. 2) {
            $turns++;
            no warnings 'exiting';
            my $code = eval "sub { $leave }" or die $@;
            eval { call($code); 1 } or $error = $@;
        }
      AFTER: $turns += 10;
    };
    is $turns, 12, "$leave does not leave the callback";
    like $error, qr/^(?:Can't "$1" outside a loop block|Label not found|Can't find label)/, 'but is an error'
        if $leave =~ /(\w+)/;
    is $drops, 2, 'dropped';
}
is call(sub { for (1 .. 3) { last if $_ == 2 } 'own loop' }), 'own loop', 'its own loop is its own';
is call(sub { goto &named }, 5), 'named 5', 'goto &sub';

# Arguments that the caller has freed while they stood in @_.
{
    my @elements;
    my $freed = sub { my $sub = shift; @elements = (); return &$sub };
    for my $value ('text', 5, [1], bless([], 'Destroyed')) {
        @elements = ($value, 'second');
        is scalar $freed->(\&PerlXS::Test::describe, $elements[0]), 'undef', 'a freed argument is undef';
        @elements = ($value, 'second');
        is scalar $freed->(\&PerlXS::Test::count, @elements), 2, 'two of them';
        @elements = map { [$_] } 1 .. 20;
        is_deeply \@elements, [ map { [$_] } 1 .. 20 ], 'and is not freed once more';
    }
    is leaks { @elements = ([1]); $freed->(\&PerlXS::Test::describe, $elements[0]) }, 0, 'nor leaked';
}

is drops { eval { panics('ouch') } }, 1, 'a panic: dropped';
like $@, qr/^ouch at \Q$0\E line \d+\.$/, 'its text is the croak';
eval { panics("with a newline\n") };
is $@, "with a newline\n", 'as it is';
eval { panics(undef) };
like $@, qr/^panic at /, 'a payload without text';
is drops { eval { croaks('sad') } }, 1, 'an error: dropped';
like $@, qr/^sad at \Q$0\E line \d+\.$/, 'croaked';
eval { croaks("\x{20ac}\n") };
is $@, "\x{20ac}\n", 'a wide message';
eval { count(1); dropped(1) };
like $@, qr/^Usage: PerlXS::Test::dropped\(\) at /, 'too many arguments';
eval { PerlXS::Test::set(1) };
like $@, qr/^Usage: PerlXS::Test::set\(sv, value\) at /, 'too few';

{
    our @args = ('alive', 'x');
    our $sv = 'alive';
    is late(sub { undef $sv; undef *sv; 1 }, $sv), undef, 'an argument that is undefined meanwhile';
    my $hash = { a => 'alive' };
    is late(sub { undef $hash; 1 }, $hash->{a}), 'alive', 'one that is freed meanwhile';
}

is PerlXS::Test::SEVEN(), 7, 'a constant';
is PerlXS::Test::HIGHEST(), 18446744073709551615, 'a large one, positive';
is prototype('PerlXS::Test::SEVEN'), '', 'its prototype';

# exit: Rust values are dropped, then the process ends as perl ends.
{
    my ($output, $status) = child_perl(<<'PERL');
        END { print "END dropped ", PerlXS::Test::dropped(), " status $?\n" }
        eval { PerlXS::Test::call(sub { exit 7 }) };
        print "not reached\n";
PERL
    is $output, "END dropped 1 status 7\n", 'exit in a callback';
    is $status, 7, 'its status';

    ($output, $status) = child_perl(<<'PERL');
        END { print "END dropped ", PerlXS::Test::dropped(), "\n" }
        package T { sub TIESCALAR { bless [] } sub FETCH { exit 8 } }
        tie my $t, 'T';
        for (1 .. 3) { eval { PerlXS::Test::number($t) } }
        print "not reached\n";
PERL
    is $output, "END dropped 1\n", 'exit while a value is read';
    is $status, 8, 'its status';

    ($output, $status) = child_perl(<<'PERL');
        END { print "END dropped ", PerlXS::Test::dropped(), "\n" }
        PerlXS::Test::call(sub { PerlXS::Test::call(sub { PerlXS::Test::catch(sub { exit 9 }) }) });
        print "not reached\n";
PERL
    is $output, "END dropped 3\n", 'exit three frames deep';
    is $status, 9, 'its status';

    ($output, $status) = child_perl(<<'PERL');
        END { print "END dropped ", PerlXS::Test::dropped(), "\n" }
        PerlXS::Test::deaf(sub { exit 10 }, sub { print "ran\n" });
        print "not reached\n";
PERL
    is $output, "END dropped 1\n", 'an XSUB that does not listen runs no more perl';
    is $status, 10, 'and the exit goes on';

    ($output, $status) = child_perl(<<'PERL');
        package D { sub DESTROY { exit 11 } }
        END { print "END dropped ", PerlXS::Test::dropped(), "\n" }
        PerlXS::Test::call(sub { my $o = bless [], 'D'; return [$o] });
        PerlXS::Test::deaf(sub { bless [], 'D' }, sub { 1 });
        print "not reached\n";
PERL
    is $status, 11, 'exit in a destructor that a Rust drop runs';
    unlike $output, qr/not reached/, 'ends the process';

    ($output, $status) = child_perl(<<'PERL');
        $SIG{ALRM} = sub { die "alarm\n" };
        eval { PerlXS::Test::call(sub { kill ALRM => $$; 1 while 1 }) };
        print "$@dropped ", PerlXS::Test::dropped(), "\n";
PERL
    is $output, "alarm\ndropped 1\n", 'a signal handler that dies in a callback';

    ($output, $status) = child_perl(<<'PERL');
        $@ = ''; eval { XSLoader::load('PerlXS::Test', '9.99') };
        print $@ =~ /^PerlXS::Test object version 0\.01 does not match bootstrap parameter 9\.99/ ? "ok\n" : "not: $@";
        print PerlXS::Test::dropped(), "\n";
PERL
    is $output, "ok\n0\n", 'a .pm file of another version is refused';
}

# No scalar is left behind.
SKIP: {
    eval { require Devel::Peek; Internals::SvREFCNT(my $y = 1); 1 } or skip 'no refcounts', 1;
    my $shared = [];
    for (1 .. 100) {
        call(sub { $_[0] }, $shared);
        catch(sub { die $_[0] }, $shared);
        eval { call(sub { die $_[0] }, $shared) };
        PerlXS::Test::set(my $copy, $shared);
        eval { croaks($shared) };
        PerlXS::Test::give('scalar', $shared);
        PerlXS::Test::describe($shared);
    }
    $@ = '';
    is Internals::SvREFCNT(@$shared), 1, 'references are given back';
}

done_testing;
