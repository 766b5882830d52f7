# The style of Perl: perlcritic, perltidy, the oldest perl; of all files: tabs, ends of lines.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Perl::Critic ();
use Perl::MinimumVersion ();
use Perl::Tidy ();

my $top = top();
my ($oldest) = slurp("$top/Makefile.PL") =~ /^use (5\.\d+);/m;

# ---- Perl ----

# perlcritic and perltidy have their configuration here, and none in a home.
my $critic = Perl::Critic->new(-profile => "$FindBin::Bin/perlcriticrc");
Perl::Critic::Violation::set_format("%m at line %l (%p)\n");

# A line without what perltidy does not decide.
sub bare {
    my ($line) = @_;
    return $line =~ s/^\s+//r =~ s/ +/ /gr =~ s/ ?([\[\]{}()]) ?/$1/gr;
}

for my $file (grep { /\.(?:t|pm|pl|PL)$/ } tracked()) {
    my $path = "$top/$file";
    is join('', $critic->critique($path)), '', "$file: perlcritic";

    my $source = slurp($path);
    local @ARGV;
    my $failed = Perl::Tidy::perltidy(source => \$source, destination => \my $tidy, perltidyrc => "$FindBin::Bin/perltidyrc",
        stderr => \my $errors, errorfile => \my $log);
    my @lines = split /\n/, $source;
    my @tidy  = split /\n/, $tidy;
    my @wrong = map { "line $_: perltidy has $tidy[$_ - 1]" } grep { bare($lines[ $_ - 1 ]) ne bare($tidy[ $_ - 1 ]) } 1 .. @lines;
    is join("\n", $failed || (), $errors // '', @wrong), '', 'perltidy';

    my $needs = Perl::MinimumVersion->new($path)->minimum_version;
    cmp_ok $needs, '<=', version->parse($oldest), "perl $oldest is new enough";
}

# ---- all files ----

# A program made the picture, and others wrote the licenses.
for my $file (grep { !m{^(?:doc/latency\.svg|LICENSE)$} } tracked()) {
    my $text = slurp("$top/$file");
    my @lines = split /\n/, $text;
    my @wrong = grep { $lines[ $_ - 1 ] =~ /[ \t\r]$/ } 1 .. @lines;
    # those in front of the commands of make, which are here-documents
    my $tabs = $file =~ /(?:^|\/)(?:Makefile\.PL|MakeMaker\.pm)$/ ? qr/.\t/ : qr/\t/;
    push @wrong, grep { $lines[ $_ - 1 ] =~ $tabs } 1 .. @lines;
    is "@wrong", '', "$file: no line with a tab or a space at its end";
    like $text, qr/[^\n]\n\z/, 'ends with the last line';
    next if $file !~ /\.(?:rs|c|h)$/;
    is_deeply [ grep { length > 100 } @lines ], [], 'lines of up to 100 columns';
}

done_testing;
