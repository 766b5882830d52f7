use strict;
use warnings;
use utf8;

use Test::More;

use Hello qw(greet greet_with cheer MAX_CHEERS);

alarm 60;

is greet('Larry'), 'Hello, Larry!', 'a name';
is greet(''),      'Hello, !',      'an empty one';
is greet(42),      'Hello, 42!',    'a number is text too';
is greet("\x{e9}\x{20ac}\x{1f42a}"), "Hello, \x{e9}\x{20ac}\x{1f42a}!", 'characters stay what they are';
is greet(undef), 'Hello, world!', 'undef is the world';

is greet(), 'Hello, world!', 'and so is nothing';

ok !eval { greet(1, 2); 1 }, 'a wrong number of arguments';
like $@, qr/^Usage: Hello::greet\(name = undef\) at \Q$0\E line \d+\.$/, 'tells how to call';

is greet_with(sub { uc $_[0] }, 'Larry'), 'Hello, LARRY!', 'a coderef';
is((greet_with { "$_[0] & co" } 'Larry'), 'Hello, Larry & co!', 'a block');
is greet_with(sub { scalar @_ }, 'Larry'), 'Hello, 1!', 'with one argument';
is greet_with(sub { undef },     'Larry'), 'Hello, world!', 'that returns undef';
is greet_with(sub { greet $_[0] }, 'Larry'), 'Hello, Hello, Larry!!', 'that calls back';

my $thrown = [7];
ok !eval { greet_with(sub { die $thrown }, 'Larry'); 1 }, 'a coderef that dies';
is $@, $thrown, 'its exception is the one that arrives';
is greet('Larry'), 'Hello, Larry!', 'and greetings go on';

ok !eval { &greet_with('nosuch', 'Larry'); 1 }, 'no code';
like $@, qr/^code must be code, not the string "nosuch" at \Q$0\E line \d+\.$/, 'says so';

is cheer(1),   'Hooray!',         'one cheer';
is cheer('2'), 'Hooray! Hooray!', 'a string that is a number';
is cheer(3.0), 'Hooray! Hooray! Hooray!', 'a float that is an integer';
is scalar(() = cheer(MAX_CHEERS) =~ /Hooray!/g), 10, 'the most';

for my $times (0, MAX_CHEERS + 1, -1, 257) {
    ok !eval { cheer($times); 1 }, "no cheers for $times";
    like $@, qr/^times must be from 1 to 10, not $times at \Q$0\E line \d+\.$/, 'says why';
}
for ([ 1.5, '1.5' ],
    [ 'inf', 'the string "inf"' ], [ 'three', 'the string "three"' ], [ undef, 'undef' ],
    [ [], 'a reference to an ARRAY' ])
{
    my ($times, $text) = @$_;
    ok !eval { cheer($times); 1 }, "no cheers for $text";
    like $@, qr/^times must be an integer \(i64\), not \Q$text\E at \Q$0\E line \d+\.$/, 'says why';
}

is MAX_CHEERS, 10, 'a constant';
is prototype('Hello::MAX_CHEERS'), '', 'that perl can fold';

ok !eval { XSLoader::load('Hello', '0.00'); 1 }, 'another version of the .pm file';
like $@, qr/^Hello object version 0\.01 does not match bootstrap parameter 0\.00/, 'does not load';

done_testing;
