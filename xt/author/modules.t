# VM|VFORK beside modules that have their hands in the interpreter, as the manual says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../t/lib";
use Test::More;
use CloneTest;
use File::Temp ();

my $guest = 'sub guest { my $pid = Linux::Clone::clone($_[0], 1 << 20, Linux::Clone::VM | Linux::Clone::VFORK | 17); waitpid $pid, 0; return $? }';

# ---- Coro ----

# A child that ends in another coroutine than the one it began in leaves its parent there: perl's
# stacks of the first are Coro's, and cannot be had again.
for my $end ('exec "/bin/true"', 'POSIX::_exit(0)') {
    my ($output, $status) = perl_output(<<"PERL");
        use Coro; use Linux::Clone; use POSIX (); \$| = 1; $guest
        alarm 20;
        print "begins\\n";
        guest(sub { async { $end }; cede; cede; return 5 });
        print "goes on\\n";
PERL
    like $output, qr/^begins\nperlxs: .* \(in another coroutine\?\)\n\z/, "Coro: $end in another coroutine: a message, once";
    is $status & 127, POSIX::SIGABRT(), 'and the end';
}
{
    my ($output) = perl_output(<<"PERL");
        use Coro; use Linux::Clone; use POSIX (); \$| = 1; $guest
        my \@jobs = map { my \$n = \$_; async { for (1 .. 5) { guest(sub { exec '/bin/true' }) == 0 or die; cede } return \$n } } 1 .. 3;
        print join(' ', map { \$_->join } \@jobs), "\\n";
        print guest(sub { my \$job = async { 7 }; return \$job->join }) >> 8, "\\n";
PERL
    is $output, "1 2 3\n7\n", 'coroutines that have children, and a child that has coroutines';
}

# ---- Devel::NYTProf ----

# It takes the child for one of fork's, and ends the profile in one that calls exec.
{
    my $dir = File::Temp->newdir;
    my $program = "$dir/program";
    open my $fh, '>', $program or die "$program: $!";
    print {$fh} <<"PERL";
        use Linux::Clone; use POSIX (); $guest
        sub before { return 1 } sub after { return 2 }
        before() for 1 .. 10;
        for my \$end (sub { 0 }, sub { POSIX::_exit(0) }, sub { kill KILL => \$\$; sleep 9 }) {
            DB::disable_profile();
            guest(\$end);
            DB::enable_profile();
        }
        Linux::Clone::spawn(exec => ['/bin/true'])->wait;
        after() for 1 .. 10;
        DB::finish_profile();
        print join ' ', map { s{.*/}{}r } glob '$dir/profile*';
PERL
    close $fh or die "$program: $!";
    local $ENV{NYTPROF} = "file=$dir/profile";
    open my $read, '-|', $^X, '-d:NYTProf', (map { "-I$_" } @INC), $program or die "$^X: $!";
    my $output = do { local $/; <$read> };
    close $read;
    is $output, 'profile', 'Devel::NYTProf, paused as the manual says: one profile';
    require Devel::NYTProf::Data;
    my $subs = Devel::NYTProf::Data->new({ filename => "$dir/profile", quiet => 1 })->subname_subinfo_map;
    is $subs->{"main::$_"}->calls, 10, "with what ran $_ the children" for qw(before after);
}

done_testing;
