# Objects that own a Rust value: who gets at it, and when it is dropped, once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Config;
use Scalar::Util ();
use Storable ();
use PerlXS::Test qw(call describe ask hash);

my $class = 'PerlXS::Test::Counter';
sub new { return $class->new(@_) }

package Sub { our @ISA = 'PerlXS::Test::Counter'; our @log; sub DESTROY { push @log, ref $_[0]; return } }
package TiedScalar { our $fetched = 0; sub TIESCALAR { bless [ $_[1] ] } sub FETCH { $fetched++; ref $_[0][0] eq 'CODE' ? $_[0][0]->() : $_[0][0] } }
package Over { use overload '""' => sub { $_[0]() eq 'die' ? die "no string\n" : 'Sub' } }

package main;

{
    my $counter = new(undef, 5);
    is ref $counter, $class, 'an object';
    is_deeply { %$counter }, {}, 'that is an empty hash';
    is $counter->add(2), 7, 'its value';
    is $counter->add(3), 10, 'keeps';
    is $counter->me, $counter, 'the object from the value';
    my $other = new(undef, 100);
    is $other->add(1), 101, 'another has its own';
    is $counter->add(0), 10, 'which is not this one';
    my $same = $counter;
    is $same->add(1), 11, 'a copy of the reference is the same object';
    $counter->{key} = 'perl';
    is hash($counter, 'key', 'get'), 'perl', 'the hash is for perl';
    is drops { undef %$counter; delete $counter->{$_} for keys %$counter }, 0, 'emptied';
    is $counter->add(1), 12, 'it keeps its value';
    bless $counter, 'Elsewhere';
    is PerlXS::Test::Counter::add($counter, 1), 13, 'blessed elsewhere, too';
    is ref(PerlXS::Test::Counter::me($counter)), 'Elsewhere', 'where it stays';
    tie my $tied, 'TiedScalar', $same;
    $TiedScalar::fetched = 0;
    is PerlXS::Test::Counter::add($tied, 1), 14, 'a tied reference';
    is $TiedScalar::fetched, 1, 'is read once';
}

# ---- who gets at it ----

my $type = qr/perlxs_test::objects::Counter/;
for (
    [ 'undef', undef ], [ 'a string', $class ], [ 'a number', 5 ], [ 'a reference', {} ], [ 'a coderef', sub { } ],
    [ 'a reference to an integer', \1 ], [ 'a pattern', qr/x/ ], [ 'a handle', *STDOUT{IO} ],
    [ 'an object of the class without a value', (bless {}, $class) ],
    [ 'an object with another value', new('other') ],
    [ 'a copy of the hash', bless { %{ new() } }, $class ],
    [ 'a clone', Storable::dclone(new()) ],
    [ 'a reference to the reference', \new() ],
) {
    my ($name, $value) = @$_;
    is drops { eval { PerlXS::Test::Counter::add($value, 1) } }, 0, $name;
    like $@, qr/^\Q${\ describe($value)}\E holds no $type at \Q$0\E line \d+\.$/, 'is none, and it says so';
}
{
    tie my $tied, 'TiedScalar', sub { die "no object\n" };
    ok !eval { PerlXS::Test::Counter::add($tied, 1); 1 }, 'a tied reference that dies';
    is $@, "no object\n", 'is heard';
}
for ([ undef, 'an object needs the name of a class' ], [ '', 'an object needs the name of a class' ],
    [ [], 'Attempt to bless into a reference' ], [ (bless [], 'C'), 'Attempt to bless into a reference' ])
{
    my ($into, $error) = @$_;
    is drops { eval { PerlXS::Test::Counter::new($into) } }, 1, 'no class: ' . describe($into) . ': the value is dropped';
    like $@, qr/^$error at \Q$0\E line/, 'croaks';
}
is ref PerlXS::Test::Counter::new("Cl\x{20ac}ss"), "Cl\x{20ac}ss", 'a class with a wide name';
is ref PerlXS::Test::Counter::new(bless sub { 'live' }, 'Over'), 'Sub', 'an overloaded name';
is drops { eval { PerlXS::Test::Counter::new(bless sub { 'die' }, 'Over') } }, 1, 'one that dies: dropped';
is $@, "no string\n", 'is heard';
SKIP: {
    my ($what) = ("$]" >= 5.038) ? 'class' : skip "no feature 'class'", 2;
    eval q{no warnings; use feature 'class'; class Closed { } 1} or die $@;
    is drops { eval { PerlXS::Test::Counter::new('Closed') } }, 1, "a class of feature 'class': dropped";
    like $@, qr/^Attempt to bless into a class at/, 'is refused';
}

# ---- when it is dropped ----

is drops { new() }, 1, 'a temporary';
is drops { my $o = new(); is drops { undef $o }, 1, 'when the last reference goes'; }, 1, 'and no more';
is drops { my $o = new(); my $p = $o; undef $o; is drops { undef $p }, 1, 'not the first'; }, 1, 'and no more';
is drops { my $o = new(); Scalar::Util::weaken(my $weak = $o); undef $o; is $weak, undef, 'a weak reference' }, 1, 'keeps it not';
is drops { my $o = new(); for (1 .. 3) { $o->can('DESTROY') and $o->DESTROY } }, 1, 'a class without DESTROY';
{
    @Sub::log = ();
    is drops { my $o = Sub->new; is ref $o, 'Sub', 'a subclass'; is $o->add(1), 1, 'with its methods'; }, 1, 'with a DESTROY of its own';
    is_deeply \@Sub::log, ['Sub'], 'that runs';
    @Sub::log = ();
    is drops {
        my $o = Sub->new;
        is drops { $o->DESTROY; Sub::DESTROY($o) }, 0, 'DESTROY called by name drops nothing';
        is $o->add(1), 1, 'the value is there';
    }, 1, 'and is dropped once';
    is_deeply \@Sub::log, [ ('Sub') x 3 ], 'DESTROY ran each time';
    is drops { my $o = Sub->new; bless $o, 'Elsewhere' }, 1, 'blessed elsewhere, dropped once';
    package Using { our @ISA = 'PerlXS::Test::Counter'; our $seen; sub DESTROY { $seen = $_[0]->add(1) } }
    is drops { Using->new(undef, 6) }, 1, 'a DESTROY that uses the value: dropped once';
    is $Using::seen, 7, 'it is still there';
    package Dying { our @ISA = 'PerlXS::Test::Counter'; sub DESTROY { die "in DESTROY\n" } }
    my $warned = '';
    local $SIG{__WARN__} = sub { $warned .= $_[0] };
    is drops { Dying->new }, 1, 'a DESTROY that dies: dropped once';
    like $warned, qr/in DESTROY/, 'perl warns';
    package Rising { our @ISA = 'PerlXS::Test::Counter'; our $risen; sub DESTROY { $risen = $_[0] } }
    is drops { Rising->new }, 0, 'an object that DESTROY keeps alive: not dropped';
    is $Rising::risen->add(1), 1, 'it has its value';
    is drops { bless $Rising::risen, $class; undef $Rising::risen }, 1, 'until it dies at last';
}
is drops { my $o = new(); eval { die { object => $o } }; undef $o; isa_ok $@->{object}, $class; $@ = '' }, 1, 'in an exception';
is drops { my $o = new(); $o->{self} = $o; delete $o->{self} }, 1, 'a cycle that is broken';
is drops { my @o = map { new() } 1 .. 100; @o = () }, 100, 'a hundred';

# ---- freed while it is in use ----

{
    our $object = new(undef, 41);
    my $result;
    is drops { $result = $object->with(sub { undef $object; is drops { 1 }, 0, 'not dropped while Rust looks at it' }) }, 1,
        'a callback that frees the object';
    is $result, 42, 'the value was there to the end';
    $object = new();
    is drops { eval { $object->with(sub { undef $object; die "freed\n" }) } }, 1, 'and dies';
    is $@, "freed\n", 'is heard';
    $object = new();
    is $object->with(sub { $object->with(sub { $object->add(5) }) }), 7, 'used again meanwhile';
    my ($output, $status) = child_perl(<<'PERL');
        END { undef $object; print "dropped ", PerlXS::Test::dropped(), "\n" }
        our $object = PerlXS::Test::Counter->new;
        $object->with(sub { undef $object; exit 3 });
PERL
    is $output, "dropped 1\n", 'a callback that frees it and exits';
    is $status, 3, 'its status';
}

# ---- a drop that goes wrong ----

{
    my $warned = '';
    local $SIG{__WARN__} = sub { $warned .= $_[0] };
    is drops { new('bad') }, 1, 'a drop that panics';
    like $warned, qr/^\t\(in cleanup\) bad drop at .+ line \d+\.$/, 'is a warning';
    { no warnings; $warned = ''; new('bad'); is $warned, '', 'unless they are off'; }
    local $SIG{__WARN__} = sub { die "no warning\n" };
    ok eval { new('bad'); 1 }, 'a warning that dies goes nowhere';
    call(sub { new('bad'); 1 });
    call(sub { return new('bad') });
    pass 'nor does one in a callback, or after it';

    my $called = 0;
    is drops { new('calls', sub { $called++ }) }, 1, 'a drop that calls perl';
    is $called, 1, 'does';
    $@ = 'kept';
    is drops { new('calls', sub { die "last words\n" }) }, 1, 'and perl dies';
    is $@, 'kept', 'unheard';
    for my $free ('undef $o', 'PerlXS::Test::call(sub { undef $o; 1 })', 'my $x = delete $h{o}; undef $o; undef $x', 'PerlXS::Test::array([$o], 0, "pop"); PerlXS::Test::array([do { my $p = $o; undef $o; $p }], 0, "clear")') {
        my ($output, $status) = child_perl(<<"PERL");
            my \$o = PerlXS::Test::Counter->new('calls', sub { exit 4 });
            eval { $free; 1 };
            print "not reached\\n";
            END { print "dropped ", PerlXS::Test::dropped(), "\\n" }
PERL
        is $status, 4, "exit in a drop: $free";
        unlike $output, qr/not reached/, 'ends the process';
    }
    my ($output, $status) = child_perl(<<'PERL');
        use POSIX ();
        # a handler that runs where the signal arrives, but not in the middle of Rust
        POSIX::sigaction(POSIX::SIGUSR1(), POSIX::SigAction->new(sub { die "signal\n" }));
        my $caught = 0;
        for (1 .. 3) {
            my $o = PerlXS::Test::Counter->new('raises');
            eval { undef $o; 1 } or $caught += $@ eq "signal\n";
            $o = PerlXS::Test::Counter->new('calls', sub { kill USR1 => $$; 1 });
            eval { undef $o; 1 } or $caught += 100;
        }
        print "caught $caught dropped ", PerlXS::Test::dropped(), "\n";
PERL
    # what such a handler jumps out of is lost to perl, which a -DDEBUGGING one tells at its end
    like $output, qr/^caught 3 dropped 6$/m, 'a signal waits until the drop is done; perl code in it hears one at once';
}

# ---- the end of perl ----

for (
    [ 'a global',  'our $o = PerlXS::Test::Counter->new;', 1 ],
    [ 'a lexical', 'my $o = PerlXS::Test::Counter->new;', 1 ],
    [ 'a cycle',   'my $o = PerlXS::Test::Counter->new; $o->{self} = $o;', 1 ],
    [ 'two that know each other', 'my $o = PerlXS::Test::Counter->new; my $p = PerlXS::Test::Counter->new; $o->{p} = $p; $p->{o} = $o;', 2 ],
    [ 'one with a DESTROY', '@S::ISA = "PerlXS::Test::Counter"; sub S::DESTROY { print "sum ", $_[0]->add(1), "\n" } our $o = S->new;', 1, "sum 1\n" ],
    [ 'a panic', 'our $o = PerlXS::Test::Counter->new("bad");', 1 ],
    [ 'exit', 'our $o = PerlXS::Test::Counter->new; exit 0;', 1 ],
    [ 'die', 'our $o = PerlXS::Test::Counter->new; open STDERR, ">", "/dev/null"; die;', 1 ],
) {
    my ($name, $program, $drops, $more) = @$_;
    for my $level (0, 2) {
        local $ENV{PERL_DESTRUCT_LEVEL} = $level;
        my ($output) = child_perl("\$| = 1; PerlXS::Test::report_drops(); $program");
        is $output, join('', $more // '', map { "dropped $_\n" } 1 .. $drops), "$name at the end of perl, level $level";
    }
}

# ---- threads ----

SKIP: {
    skip 'perl without threads', 1 if !$Config{useithreads};
    my ($output, $status) = child_perl(<<'PERL');
        use threads;
        package Skipped { our @ISA = 'PerlXS::Test::Counter'; sub CLONE_SKIP { 1 } }
        package main;
        my ($o, $s) = (PerlXS::Test::Counter->new(undef, 1), Skipped->new(undef, 1));
        my $result = threads->create(sub {
            my $own = PerlXS::Test::Counter->new(undef, 20);
            my $added = eval { $o->add(1); 1 } ? 'added' : $@ =~ s/ at .*//sr;
            return join ', ', ref $o, $added, ref $s, ref \$s, $$s // 'undef', $own->add(1), PerlXS::Test::dropped();
        })->join;
        print "$result\n";
        print PerlXS::Test::dropped(), " ", $o->add(1), " ", $s->add(1), "\n";
        undef $_ for $o, $s;
        print PerlXS::Test::dropped(), "\n";
        # made in a thread, given back from it
        my $given = threads->create(sub { PerlXS::Test::Counter->new })->join;
        print ref $given, " ", (eval { $given->add(1); 1 } ? 'added' : $@ =~ s/ at .*//sr), "\n";
        undef $given;
        print PerlXS::Test::dropped(), "\n";
        # a thread that ends by itself, and one whose object is in a cycle
        threads->create(sub { my $o = PerlXS::Test::Counter->new; $o->{self} = $o; return })->join;
        print PerlXS::Test::dropped(), "\n";
        my $kept = PerlXS::Test::Counter->new;
        $kept->with(sub { threads->create(sub { undef $kept; return })->join });
        print $kept->add(1), " ", PerlXS::Test::dropped(), "\n";
PERL
    is $output, <<'OUT', 'threads';
PerlXS::Test::Counter, an object of class PerlXS::Test::Counter holds nothing in this thread, as it was made in another, SCALAR, REF, undef, 21, 0
1 2 2
3
PerlXS::Test::Counter an object of class PerlXS::Test::Counter holds nothing in this thread, as it was made in another
4
5
2 5
OUT
    is $status, 0, 'no crash';
}

# ---- local ----

{
    our %hash;
    my $object = new(undef, 5);
    *hash = $object;
    is drops { local %hash = (a => 1); is eval { PerlXS::Test::Counter::add(\%hash, 1) }, undef, 'what local puts in the place of an object is none' }, 0, 'and drops nothing';
    is $object->add(1), 6, 'nor does its end';
    undef *hash;
    is drops { undef $object }, 1, 'it is dropped once';
}

# ---- a value on any scalar ----

sub attached { return PerlXS::Test::attached(@_ > 2 ? ($_[0], @_[ 1, 2 ]) : ($_[0], $_[1])) }
{
    my ($x, $y) = (1, 'two');
    is attached($x, 'add'), undef, 'nothing is attached';
    attached($x, 'new');
    is attached($x, 'add'), 1, 'a value on a scalar';
    $x = [3];
    is attached($x, 'add'), 2, 'whatever it holds';
    is attached(my $copy = $x, 'add'), undef, 'a copy has none';
    is attached($y, 'add'), undef, 'nor has another';
    ok !attached($x, 'has other'), 'of another type';
    attached($x, 'other');
    ok attached($x, 'has other'), 'it can have one, too';
    is attached($x, 'add'), 3, 'beside the first';
    is drops { ok !eval { attached($x, 'new'); 1 } && $@ =~ /^this scalar has a \S*Counter already at /, 'but one of a type' }, 1, 'the other is dropped';
    is attached($x, 'add'), 4, 'the first is not';
    is drops { undef $x; $x = 5 }, 0, 'undef keeps it';
    is drops { for my $turn (1, 2) { my $z = 1; is attached($z, 'add'), undef, 'a new run of a scope'; attached($z, 'new') } }, 2, 'each is dropped at the end of the scope';
    my $element = { a => 1 };
    attached($element->{a}, 'new');
    is drops { delete $element->{a} }, 1, 'with the element of a hash';
    our %global = (a => 1);
    attached($global{a}, 'new');
    is drops { local $global{a} = 2; is attached($global{a}, 'add'), undef, 'a local one has none'; }, 0, 'which ends';
    is attached($global{a}, 'add'), 1, 'what was there has';
    my @list = (1);
    attached($list[0], 'new');
    is drops { is attached($list[0], 'add', sub { @list = () }), 1, 'a scalar that is freed meanwhile' }, 1, 'is dropped afterwards';
    for my $constant (\'text', \undef, \1) {
        is drops { ok !eval { attached($$constant, 'new'); 1 } && $@ =~ /^a value can only be attached to a variable at /, 'no variable' }, 1, 'it is dropped';
    }
    is drops { ok !eval { attached(*STDOUT, 'new'); 1 }, 'a glob' }, 1, 'likewise';
    is leaks { my $z = 1; attached($z, 'new'); attached($z, 'add') }, 0, 'no scalar is left behind';
}
SKIP: {
    skip 'this perl has no threads', 1 if !$Config{useithreads};
    require threads;
    my $x = 1;
    attached($x, 'new');
    is(threads->create(sub { attached($x, 'add') // 'none' })->join, 'none', 'a new thread has none');
    is drops { threads->create(sub { our $kept = 1; attached($kept, 'new'); return })->join }, 1, 'one that lives as long as its thread';
    is drops { threads->create(sub { our $kept = new(); return })->join }, 1, 'as an object that does';
}

# ---- leaks ----

is leaks { my $o = new(); $o->add(1); $o->me; $o->with(sub { 1 }) }, 0, 'objects';
is leaks { my $o = Sub->new; $o->{list} = [1]; @Sub::log = () }, 0, 'with contents';
is leaks { eval { PerlXS::Test::Counter::add({}, 1) }; eval { PerlXS::Test::Counter::new(undef) } }, 0, 'errors';
{
    local $SIG{__WARN__} = sub { };
    is leaks { new('bad') }, 0, 'panics';
    is leaks { new('calls', sub { die "x\n" }) }, 0, 'calls';
}

done_testing;
