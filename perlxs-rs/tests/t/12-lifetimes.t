# Values that are kept for longer than the call: in thread_local!, until perl is gone, and in CLONE.
use strict;
use warnings;
use Config;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test qw(keep kept);

sub program { my ($output, $status) = child_perl("use strict; use warnings; no warnings 'threads'; alarm 60; \$| = 1; $_[0]"); return "$output\[$status]" }

keep('a value');
is kept('read'), 'a value', 'a value that is kept';
is kept('give'), 'a value', 'is given back later';
is ${ \kept('copy') }, 'a value', 'or copied';
kept('drop');
ok !eval { kept('read'); 1 }, 'and dropped';
is program('PerlXS::Test::keep([1], "x", sub { 1 }); print "end\n"'), "end\n[0]", 'one that outlives perl';
is program('PerlXS::Test::keep(bless []); sub DESTROY { print "destroyed\n" } print "end\n"'), "end\ndestroyed\n[0]", 'an object: destroyed by perl';
is program('$ENV{PERL_DESTRUCT_LEVEL} = 2; PerlXS::Test::keep(bless []); sub DESTROY { PerlXS::Test::kept("drop"); print "destroyed\n" } print "end\n"'), "end\ndestroyed\n[0]", 'dropped while perl destroys its objects';
is program('END { PerlXS::Test::keep("x"); print PerlXS::Test::kept("read"), "\n" }'), "x\n[0]", 'in END';

SKIP: {
    skip 'perl without threads', 9 if !$Config{useithreads};
    is program('use threads; threads->create(sub { PerlXS::Test::keep([1], {}, sub { 1 }) })->join for 1 .. 5; print "end\n"'), "end\n[0]", 'in a thread that is joined';
    is program('use threads; threads->create(sub { PerlXS::Test::keep([1], {}, sub { 1 }) })->detach for 1 .. 5; select undef, undef, undef, 0.5; print "end\n"'), "end\n[0]", 'in one that is detached';
    for my $how (qw(give call collect assign)) {
        is program(<<"PERL"), "a value of another interpreter\n1\n[0]", "a value of its parent's in CLONE: $how";
            use threads;
            PerlXS::Test::keep("mine");
            my \$told;
            sub CLONE { my \$other = "other"; \$told = eval { PerlXS::Test::kept('$how', '$how' eq 'call' ? sub { 1 } : \$other); 1 } ? "nothing\\n" : \$\@ =~ s/ at .*//r }
            print threads->create(sub { \$told })->join, PerlXS::Test::kept('read') eq 'mine', "\\n";
PERL
    }
    like program(<<'PERL'), qr/^(?:mine|a value of another interpreter)\n\[0\]$/, 'to read one there';
        use threads;
        PerlXS::Test::keep("mine");
        my $told;
        sub CLONE { $told = eval { PerlXS::Test::kept('read') . "\n" } // $@ =~ s/ at .*//r }
        print threads->create(sub { $told })->join;
PERL
    is program(<<'PERL'), "done\n[0]", 'to drop one there';
        use threads;
        PerlXS::Test::keep([ bless [] ]);
        sub DESTROY { }
        sub CLONE { PerlXS::Test::kept('drop') }
        threads->create(sub { 1 })->join;
        print "done\n";
PERL
    is program(<<'PERL'), "done\n[0]", 'threads of threads, that never call the extension until they end';
        use threads;
        my $object = PerlXS::Test::Counter->new;
        threads->create(sub { threads->create(sub { threads->create(sub { 1 })->join; PerlXS::Test::keep([]); 1 })->join; 1 })->join for 1 .. 3;
        print "done\n";
PERL
}

done_testing;
