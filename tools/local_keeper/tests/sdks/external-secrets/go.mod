module driver

go 1.21

require github.com/keeper-security/secrets-manager-go/core v1.6.4
